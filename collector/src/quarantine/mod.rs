//! Quarantine: who is cut off, why, by whom, and whether it is so.
//!
//! What Farmwatch decides by itself is a pure function ([`decision::decide`]); what people ask for is
//! [`isolate`], [`isolate_all`] and [`release`]. All end in a signed order, an entry of the audit and a step in the alert's
//! life, written together. What is believed of a laptop is what the laptop says ([`belief`]).

mod belief;
pub mod connectors;
mod consider;
pub mod decision;
mod people;
mod together;

pub use belief::{Belief, Stage, belief, status};
pub use consider::{Batch, consider, proposals};
pub use people::{QuarantineError, isolate, release};
pub use together::{Isolated, Planned, isolate_all, plan};
