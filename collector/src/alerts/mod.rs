//! Alerts: what is said of devices and places, and the life of what was said.
//!
//! What an alert says is drawn up by pure functions ([`policy`], [`device`], [`site`]) as a [`Draft`]; what
//! becomes of the draft, given the alert that is already there, is decided in [`life`]. People act through
//! [`change`].

pub mod device;
pub mod fleet;
pub mod fleet_silence;
pub mod fleet_tool;
pub mod learning;
pub mod life;
mod person;
pub mod policy;
pub(crate) mod report;
pub mod site;
mod words;

pub use life::{Draft, Piece, Written};
pub use person::{Action, ChangeError, change, taken_in};
pub use report::conflict;
pub use words::name;

/// How Farmwatch itself signs what it does.
pub const FARMWATCH: &str = "farmwatch";
