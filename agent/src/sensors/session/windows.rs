//! Windows: not read yet.

use super::{Config, SensorError, Session};

pub(super) fn sessions(_: &Config) -> Result<Vec<(String, Session)>, SensorError> {
    Err(SensorError::NotSupported("not read on this operating system yet".into()))
}
