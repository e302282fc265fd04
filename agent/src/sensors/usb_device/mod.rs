//! What hangs on USB and Thunderbolt: who it says it is, how fast it is, what it can do.
//!
//! Linux: sysfs, woken by the kernel's hot-plug events. Elsewhere not yet.

#[cfg(target_os = "linux")]
mod linux;

use std::time::Duration;

use farmwatch_shared::facts::{Family as _, UsbDevice};
use jiff::Timestamp;

#[cfg(target_os = "linux")]
use super::kernel_events::{self, Listener};
use super::{Config, Sensed, Sensor, SensorError, Wake};
#[cfg(target_os = "linux")]
use linux::sense;

/// The family's sensor.
#[derive(Debug, Default)]
pub struct UsbSensor {
    /// Looks at a machine whose events can be listened to.
    live: bool,
    #[cfg(target_os = "linux")]
    events: Option<Listener>,
}

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(UsbSensor { live: config.is_live(), ..Default::default() })
}

impl Sensor for UsbSensor {
    fn name(&self) -> &'static str {
        UsbDevice::NAME
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
        const SUBSYSTEMS: &[&str] = &["usb", "hid", "thunderbolt"];
        self.events = self.live.then(|| Listener::devices(SUBSYSTEMS, wake)).flatten();
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        sense(out)
    }
}

#[cfg(not(target_os = "linux"))]
fn sense(_: &mut Sensed) -> Result<(), SensorError> {
    Err(SensorError::NotSupported("USB is not yet read on this operating system".into()))
}
