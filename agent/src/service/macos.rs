//! launchd and signals.

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

/// Runs the agent under whatever started it.
pub fn host(agent: Agent) -> anyhow::Result<()> {
    agent()
}

/// launchd takes a daemon for up as soon as it runs.
pub fn ready() {}

/// launchd has no watchdog.
pub fn alive() {}

/// The service ends.
pub fn stopping() {}

/// The service reads its configuration again.
pub fn reloading() {}
