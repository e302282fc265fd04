//! macOS: not read yet.

use super::{Config, Duration, SensorError};

/// What feeds the machine, and its lid.
pub(super) struct SupplyNow {
    pub(super) mains: Option<bool>,
    pub(super) battery: bool,
    pub(super) lid_closed: Option<bool>,
}

/// What keeps the machine from sleeping.
#[derive(Clone, Default)]
pub(super) struct Settings {
    pub(super) never_sleeps: Option<bool>,
    pub(super) keep_awake: Vec<String>,
}

pub(super) fn supply(_: &Config) -> Result<SupplyNow, SensorError> {
    Err(SensorError::NotSupported("not read on this operating system yet".into()))
}

pub(super) fn settings(_: &Config) -> Settings {
    Settings::default()
}

/// How long the machine has slept since it started.
pub(super) fn time_asleep(_: &Config) -> Duration {
    Duration::ZERO
}

/// How long the machine has been up.
pub(super) fn uptime(_: &Config) -> Option<Duration> {
    None
}
