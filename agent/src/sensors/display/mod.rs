//! Displays: what is plugged into the laptop's sockets and what it says of itself.
//!
//! Linux: DRM in sysfs. Windows: monitors among the device nodes, and the desktop. Woken by hot-plug events.
//! macOS: the IOKit registry, looked at now and then.

#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use farmwatch_shared::facts::{Display, Family as _};

use super::hot_plug::{self, Kind};
use super::{Config, Sensor};
use os::sense;

const KIND: Kind = Kind {
    family: Display::NAME,
    subsystems: &["drm"],
    sense,
    identity: &["/edid/manufacturer", "/edid/product", "/edid/year"],
};

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    hot_plug::sensor(&KIND, config)
}
