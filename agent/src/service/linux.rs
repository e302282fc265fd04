//! systemd and signals.

use sd_notify::NotifyState;

pub use super::posix::{Signals, host, log};

/// The service is up.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The service is alive: for the watchdog.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// The service ends.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The service reads its configuration again.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// Without systemd there is nobody to tell.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!(%error, "cannot tell systemd");
    }
}
