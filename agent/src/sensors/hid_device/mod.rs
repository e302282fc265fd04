//! Keyboards and pointers on every bus: what they are, what they can do, and whether they are the laptop's
//! own.
//!
//! Linux: HID devices and the input layer in sysfs, woken by hot-plug events. Elsewhere not yet.

#[cfg(target_os = "linux")]
pub(super) mod evdev;
#[cfg(target_os = "linux")]
mod linux;

use std::time::Duration;

use farmwatch_shared::facts::{Family as _, HidDevice};
use jiff::Timestamp;

#[cfg(target_os = "linux")]
use super::kernel_events::{self, Listener};
use super::{Config, Sensed, Sensor, SensorError, Wake};
#[cfg(target_os = "linux")]
use linux::sense;

/// The family's sensor.
#[derive(Debug, Default)]
pub struct HidSensor {
    /// Looks at a machine whose events can be listened to.
    live: bool,
    #[cfg(target_os = "linux")]
    events: Option<Listener>,
}

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(HidSensor { live: config.is_live(), ..Default::default() })
}

impl Sensor for HidSensor {
    fn name(&self) -> &'static str {
        HidDevice::NAME
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
        const SUBSYSTEMS: &[&str] = &["hid", "input"];
        self.events = self.live.then(|| Listener::devices(SUBSYSTEMS, wake)).flatten();
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        sense(out)
    }
}

#[cfg(not(target_os = "linux"))]
fn sense(_: &mut Sensed) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("keyboards and pointers are not yet read on this operating system".into()))
}
