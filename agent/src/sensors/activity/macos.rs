//! macOS: input is not counted yet.

use super::News;
use crate::sensors::{Config, SensorError, Wake};

/// Counts input.
#[derive(Debug)]
pub struct Reader;

impl Reader {
    /// Starts to count.
    pub fn start(config: Config, wake: Wake) -> Result<Self, SensorError> {
        drop(wake);
        open(&config).map(|()| Self)
    }

    /// What there is since the last time.
    pub fn news(&self) -> Option<News> {
        None
    }
}

/// Says that nothing is seen.
pub fn open(_: &Config) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("input is not yet counted on this operating system".into()))
}

/// Nothing is counted in a session of its own.
pub fn help() -> anyhow::Result<()> {
    anyhow::bail!("there is no session helper on this system")
}
