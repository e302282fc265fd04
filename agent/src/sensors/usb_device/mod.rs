//! What hangs on USB and Thunderbolt: who it says it is, how fast it is, what it can do.
//!
//! Linux: sysfs. Windows: device nodes and hubs. Woken by hot-plug events.
//! macOS: the IOKit registry, looked at now and then.

#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use farmwatch_shared::facts::{Family as _, UsbDevice};

use super::hot_plug::{self, Kind};
use super::{Config, Sensor};
use os::sense;

const KIND: Kind = Kind {
    family: UsbDevice::NAME,
    subsystems: &["usb", "hid", "thunderbolt"],
    sense,
    identity: &["/vendor_id", "/product_id"],
};

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    hot_plug::sensor(&KIND, config)
}
