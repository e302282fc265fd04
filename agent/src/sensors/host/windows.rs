//! Windows: not read yet.

use super::{Config, Host, Sensed, SensorError};

pub(super) fn host(_: &Config, _: &mut Sensed) -> Result<Host, SensorError> {
    Err(SensorError::NotSupported("not read on this operating system yet".into()))
}
