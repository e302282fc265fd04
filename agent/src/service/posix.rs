//! What Linux and macOS have in common: signals, and a standard error that whoever started the agent takes.

use tokio::signal::unix::{self, SignalKind};

use super::{Agent, Signal};

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

/// Runs the agent under whatever started it: systemd, launchd or a shell.
pub fn host(agent: Agent) -> anyhow::Result<()> {
    agent()
}
