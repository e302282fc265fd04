//! Displays: what is plugged into the laptop's sockets and what it says of itself.
//!
//! Linux: DRM in sysfs, woken by the kernel's hot-plug events. Elsewhere not yet.

#[cfg(target_os = "linux")]
mod linux;

use farmwatch_shared::facts::{Display, Family as _};

use super::hot_plug::{self, Kind};
use super::{Config, Sensor};
#[cfg(not(target_os = "linux"))]
use super::{Sensed, SensorError};
#[cfg(target_os = "linux")]
use linux::sense;

const KIND: Kind = Kind { family: Display::NAME, subsystems: &["drm"], sense };

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    hot_plug::sensor(&KIND, config)
}

#[cfg(not(target_os = "linux"))]
fn sense(_: &mut Sensed) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("displays are not yet read on this operating system".into()))
}
