//! What Farmwatch's agent and collector agree on.
//!
//! Everything here is a pure function of recorded facts: no input or output, no clock, no randomness, no
//! async. So the same judgement runs in the collector, on the laptop and in replay, and days of time are
//! tested in microseconds.

pub mod catalogue;
pub mod edid;
pub mod facts;
pub mod finding;
pub mod firmware;
pub mod hid;
pub mod id;
pub mod judge;
pub mod kvm;
pub mod order;
pub mod pointer;
pub mod policy;
pub mod program;
pub mod report;
pub mod rules;
pub mod sealed;
pub mod smbios;
pub mod state;
pub mod usage;
pub mod usb;
pub mod waterfall;
pub mod weights;
pub mod wire;
