//! Changes by event: not yet on macOS, so sensors look now and then.

use std::time::Duration;

use super::Wake;

/// How long a sensor of devices waits between looks.
pub fn period(_: bool) -> Duration {
    Duration::from_secs(10)
}

/// Wakes a sensor when what it watches comes, goes or changes.
#[derive(Debug)]
pub struct Listener;

impl Listener {
    /// Listens for devices. `None` where the system does not let us, and looking now and then must do.
    pub fn devices(_: &'static [&'static str], wake: Wake) -> Option<Self> {
        drop(wake);
        None
    }

    /// Listens for interfaces and routes. `None` likewise.
    pub fn routes(wake: Wake) -> Option<Self> {
        drop(wake);
        None
    }
}
