//! Farmwatch's agent: observes a laptop and reports what may betray remote hands.

pub mod cli;
pub mod sensors;
