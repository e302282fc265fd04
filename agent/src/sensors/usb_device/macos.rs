//! macOS: the IOKit registry. Reading it asks nobody for permission.

use farmwatch_shared::usb;

use super::from_macos;
use crate::apple::iokit;
use crate::sensors::{Sensed, SensorError};

/// States everything on USB but hubs, by port path.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    let devices = iokit::registry("IOUSBHostDevice")?;
    let interfaces = iokit::registry("IOUSBHostInterface")?;
    let hid = iokit::registry("IOHIDInterface")?;
    for (path, raw) in from_macos::devices(&[&devices, &interfaces, &hid]) {
        out.fact(&path, &usb::facts(&raw, &config.hash_key));
    }
    Ok(())
}
