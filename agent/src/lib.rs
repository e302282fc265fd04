//! Farmwatch's agent: observes a laptop and reports what may betray remote hands.

pub mod adopted;
#[cfg(any(test, target_os = "macos"))]
mod apple;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delta;
pub mod enrol;
pub mod files;
pub mod identity;
pub mod isolate;
pub mod machine;
pub mod notice;
pub mod orders;
pub mod process;
pub mod sensors;
pub mod service;
pub mod spool;
pub mod system;
pub mod uplink;
#[cfg(windows)]
mod windows;
