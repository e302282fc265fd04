//! systemd and signals.

use sd_notify::NotifyState;
use tokio::signal::unix::{self, SignalKind};

use super::Agent;

/// What the system tells the agent.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Listens for signals.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    /// Begins to listen.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hang_up: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
        }
    }
}

/// The journal or launchd's file takes standard error.
pub fn log(_: &std::path::Path) -> Option<super::Log> {
    None
}

/// Runs the agent under whatever started it: systemd or a shell.
pub fn host(agent: Agent) -> anyhow::Result<()> {
    agent()
}

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
