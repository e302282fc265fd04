//! macOS: input is not counted yet.

use farmwatch_shared::facts::Window;

use crate::sensors::{Config, SensorError, Wake};

/// What there is to say.
#[derive(Debug, Default)]
pub struct News {
    /// Finished windows.
    pub windows: Vec<Window>,
    /// Why it sees nothing, if it does not.
    pub trouble: Option<SensorError>,
    /// What it cannot tell while all is well.
    pub note: Option<&'static str>,
}

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
