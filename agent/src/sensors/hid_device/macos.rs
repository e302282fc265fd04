//! macOS: the IOKit registry. Reading it asks nobody for permission; opening a device would.

use super::{from_macos, state};
use crate::apple::iokit;
use crate::sensors::{Sensed, SensorError};

/// States every keyboard and pointer.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let tree = iokit::registry("IOHIDInterface")?;
    let mut devices = Vec::new();
    for found in from_macos::devices(&tree) {
        match found {
            Ok(device) => devices.push(device),
            Err(why) => out.partly(SensorError::Blind(format!("the HID device {why}"))),
        }
    }
    state(devices, out);
    Ok(())
}
