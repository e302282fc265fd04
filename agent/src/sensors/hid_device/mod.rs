//! Keyboards and pointers on every bus: what they are, what they can do, and whether they are the laptop's
//! own.
//!
//! Linux: HID devices and the input layer in sysfs, woken by hot-plug events. Elsewhere not yet.

#[cfg(target_os = "linux")]
pub(super) mod evdev;
#[cfg(target_os = "linux")]
mod linux;

use farmwatch_shared::facts::{Family as _, HidDevice};

use super::hot_plug::{self, Kind};
use super::{Config, Sensor};
#[cfg(not(target_os = "linux"))]
use super::{Sensed, SensorError};
#[cfg(target_os = "linux")]
use linux::sense;

const KIND: Kind = Kind { family: HidDevice::NAME, subsystems: &["hid", "input"], sense };

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    hot_plug::sensor(&KIND, config)
}

#[cfg(not(target_os = "linux"))]
fn sense(_: &mut Sensed) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("keyboards and pointers are not yet read on this operating system".into()))
}
