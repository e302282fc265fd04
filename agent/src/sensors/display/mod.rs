//! Displays: what is plugged into the laptop's sockets and what it says of itself.
//!
//! Linux: DRM in sysfs, woken by the kernel's hot-plug events. Elsewhere not yet.

#[cfg(target_os = "linux")]
mod linux;

use std::time::Duration;

use farmwatch_shared::facts::{Display, Family as _};
use jiff::Timestamp;

#[cfg(target_os = "linux")]
use super::kernel_events::{self, Listener};
use super::{Config, Sensed, Sensor, SensorError, Wake};
#[cfg(target_os = "linux")]
use linux::sense;

/// The family's sensor.
#[derive(Debug, Default)]
pub struct DisplaySensor {
    /// Looks at a machine whose events can be listened to.
    live: bool,
    #[cfg(target_os = "linux")]
    events: Option<Listener>,
}

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(DisplaySensor { live: config.is_live(), ..Default::default() })
}

impl Sensor for DisplaySensor {
    fn name(&self) -> &'static str {
        Display::NAME
    }

    #[cfg(target_os = "linux")]
    fn period(&self) -> Duration {
        kernel_events::period(self.events.is_some())
    }

    #[cfg(not(target_os = "linux"))]
    fn period(&self) -> Duration {
        Duration::from_secs(3600)
    }

    #[cfg(target_os = "linux")]
    fn watch(&mut self, wake: Wake) {
        const SUBSYSTEMS: &[&str] = &["drm"];
        self.events = self.live.then(|| Listener::devices(SUBSYSTEMS, wake)).flatten();
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        sense(out)
    }
}

#[cfg(not(target_os = "linux"))]
fn sense(_: &mut Sensed) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("displays are not yet read on this operating system".into()))
}
