//! Networks: what the laptop is attached to and through which gateway, all by hashes.
//!
//! Linux: sysfs, procfs and lease files, woken by the kernel's route events; neighbours also by listening to
//! broadcast ARP. Elsewhere not yet. The public address is the collector's to see.

#[cfg(target_os = "linux")]
mod lease;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod listen;
#[cfg(target_os = "linux")]
mod mac;
#[cfg(target_os = "linux")]
mod tables;

use std::time::Duration;

use farmwatch_shared::facts::{Family as _, Network};
use jiff::Timestamp;

#[cfg(target_os = "linux")]
use super::kernel_events::Listener;
use super::{Config, Sensed, Sensor, SensorError, Wake};

/// The family's sensor.
#[derive(Debug, Default)]
pub struct NetworkSensor {
    /// Looks at a machine whose events can be listened to.
    live: bool,
    #[cfg(target_os = "linux")]
    events: Option<Listener>,
    #[cfg(target_os = "linux")]
    memory: linux::Memory,
}

/// Makes the sensor.
pub fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(NetworkSensor { live: config.is_live(), ..Default::default() })
}

#[cfg(target_os = "linux")]
impl Sensor for NetworkSensor {
    fn name(&self) -> &'static str {
        Network::NAME
    }

    /// Without events, often enough to time a lost route to some seconds.
    fn period(&self) -> Duration {
        Duration::from_secs(if self.events.is_some() { 60 } else { 2 })
    }

    fn watch(&mut self, wake: Wake) {
        self.events = self.live.then(|| Listener::routes(wake)).flatten();
    }

    fn sense(&mut self, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        linux::sense(&mut self.memory, now, out)
    }
}

#[cfg(not(target_os = "linux"))]
impl Sensor for NetworkSensor {
    fn name(&self) -> &'static str {
        Network::NAME
    }

    fn period(&self) -> Duration {
        Duration::from_secs(3600)
    }

    fn sense(&mut self, _: Timestamp, _: &mut Sensed) -> Result<(), SensorError> {
        Err(SensorError::NotSupported("networks are not yet read on this operating system".into()))
    }
}
