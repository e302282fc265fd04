//! Windows: not read yet.

use super::{Config, Locale, SensorError};

pub(super) fn locale(_: &Config) -> Result<Locale, SensorError> {
    Err(SensorError::NotSupported("not read on this operating system yet".into()))
}
