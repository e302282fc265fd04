//! What hangs on USB and Thunderbolt: who it says it is, how fast it is, what it can do.
//!
//! Linux: sysfs, woken by the kernel's hot-plug events. Elsewhere not yet.

#[cfg(target_os = "linux")]
mod linux;

use farmwatch_shared::facts::{Family as _, UsbDevice};

use super::hot_plug::{self, Kind};
use super::{Config, Sensor};
#[cfg(not(target_os = "linux"))]
use super::{Sensed, SensorError};
#[cfg(target_os = "linux")]
use linux::sense;

const KIND: Kind = Kind { family: UsbDevice::NAME, subsystems: &["usb", "hid", "thunderbolt"], sense };

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    hot_plug::sensor(&KIND, config)
}

#[cfg(not(target_os = "linux"))]
fn sense(_: &mut Sensed) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("USB is not yet read on this operating system".into()))
}
