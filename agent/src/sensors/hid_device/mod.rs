//! Keyboards and pointers on every bus: what they are, what they can do, and whether they are the laptop's
//! own.
//!
//! Linux: HID devices and the input layer in sysfs, woken by hot-plug events. Elsewhere not yet.

#[cfg(target_os = "linux")]
pub(super) mod evdev;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use farmwatch_shared::facts::{Family as _, HidDevice};

use super::hot_plug::{self, Kind};
use super::{Config, Sensor};
use os::sense;

const KIND: Kind = Kind { family: HidDevice::NAME, subsystems: &["hid", "input"], sense };

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    hot_plug::sensor(&KIND, config)
}
