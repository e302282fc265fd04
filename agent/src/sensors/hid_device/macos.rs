//! macOS: not read yet.

use crate::sensors::{Sensed, SensorError};

/// Says that nothing is seen.
pub fn sense(_: &mut Sensed) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("keyboards and pointers are not yet read on this operating system".into()))
}
