//! Windows: not read yet.

use std::time::Duration;

use super::{Config, Sensed, SensorError, Wake};

/// Sees remote tools.
pub(super) struct Eyes;

impl Eyes {
    pub(super) fn new(_: &Config) -> Self {
        Self
    }

    pub(super) fn period(&self) -> Duration {
        Duration::from_hours(1)
    }

    pub(super) fn watch(&mut self, wake: Wake) {
        drop(wake);
    }

    pub(super) fn look(&mut self, _: &mut Sensed) -> Result<(), SensorError> {
        Err(SensorError::NotSupported("not read on this operating system yet".into()))
    }
}
