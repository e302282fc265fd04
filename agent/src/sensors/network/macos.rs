//! macOS: not read yet.

use jiff::Timestamp;

use crate::sensors::{Sensed, SensorError};

/// What the sensor remembers between looks.
#[derive(Debug, Default)]
pub struct Memory;

/// Says that nothing is seen.
pub fn sense(_: &mut Memory, _: Timestamp, _: &mut Sensed) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("networks are not yet read on this operating system".into()))
}
