//! Sensors of what is plugged in: each looks when the kernel says that something of its kind came, went or
//! changed, and now and then for what the kernel's messages miss.

use std::time::Duration;

use jiff::Timestamp;

use super::kernel_events::{self, Listener};
use super::{Config, Sensed, Sensor, SensorError, Wake};

/// One kind of things: which, and how to look at them.
#[derive(Debug)]
pub(super) struct Kind {
    /// The family of their facts.
    pub(super) family: &'static str,
    /// The kernel's subsystems that they come and go in (uevents' `SUBSYSTEM`).
    pub(super) subsystems: &'static [&'static str],
    /// Looks.
    pub(super) sense: fn(&mut Sensed) -> Result<(), SensorError>,
}

/// Makes the sensor of a kind.
pub(super) fn sensor(kind: &'static Kind, config: &Config) -> Box<dyn Sensor> {
    Box::new(HotPlugSensor { kind, live: config.is_live(), events: None })
}

#[derive(Debug)]
struct HotPlugSensor {
    kind: &'static Kind,
    /// Looks at a machine whose events can be listened to.
    live: bool,
    events: Option<Listener>,
}

impl Sensor for HotPlugSensor {
    fn name(&self) -> &'static str {
        self.kind.family
    }

    fn period(&self) -> Duration {
        kernel_events::period(self.events.is_some())
    }

    fn watch(&mut self, wake: Wake) {
        self.events = self.live.then(|| Listener::devices(self.kind.subsystems, wake)).flatten();
    }

    fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        (self.kind.sense)(out)
    }
}
