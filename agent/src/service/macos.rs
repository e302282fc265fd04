//! launchd and signals.

pub use super::posix::{Signals, host, log};

/// launchd takes a daemon for up as soon as it runs.
pub fn ready() {}

/// launchd has no watchdog.
pub fn alive() {}

/// The service ends.
pub fn stopping() {}

/// The service reads its configuration again.
pub fn reloading() {}
