//! Sensors of what is plugged in: each looks when the kernel says that something of its kind came, went or
//! changed, and now and then for what the kernel's messages miss.

use std::time::Duration;

use jiff::Timestamp;

use super::arrivals::Arrivals;
use super::kept;
use super::kernel_events::{self, Listener};
use super::{Config, Sensed, Sensor, SensorError, Wake};
use crate::clock::Now;

/// One kind of things: which, and how to look at them.
#[derive(Debug)]
pub(super) struct Kind {
    /// The family of their facts.
    pub(super) family: &'static str,
    /// The kernel's subsystems that they come and go in (uevents' `SUBSYSTEM`).
    pub(super) subsystems: &'static [&'static str],
    /// Looks.
    pub(super) sense: fn(&mut Sensed) -> Result<(), SensorError>,
    /// Fields, by JSON pointer, that tell a thing from another in the same place; empty where no fact says since when it is
    /// there.
    pub(super) identity: &'static [&'static str],
}

/// Makes the sensor of a kind.
pub(super) fn sensor(kind: &'static Kind, config: &Config) -> Box<dyn Sensor> {
    let up = if config.is_live() { Now::read().mono.since_boot() } else { Duration::ZERO };
    let arrivals = Arrivals::of(kind.family, config.state.as_deref(), up);
    Box::new(HotPlugSensor { kind, live: config.is_live(), events: None, arrivals })
}

#[derive(Debug)]
struct HotPlugSensor {
    kind: &'static Kind,
    /// Looks at a machine whose events can be listened to.
    live: bool,
    events: Option<Listener>,
    arrivals: Arrivals,
}

impl Sensor for HotPlugSensor {
    fn name(&self) -> &'static str {
        self.kind.family
    }

    fn period(&self) -> Duration {
        let period = kernel_events::period(self.events.is_some());
        if self.arrivals.owes() { period.min(kept::EACH) } else { period }
    }

    fn watch(&mut self, wake: Wake) {
        self.events = self.live.then(|| Listener::devices(self.kind.subsystems, wake)).flatten();
    }

    fn sense(&mut self, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        (self.kind.sense)(out)?;
        // Without events a look is half a minute late, and two things that came apart would seem to have come together.
        if !self.kind.identity.is_empty() && (self.events.is_some() || !self.live) {
            self.arrivals.stamp(&mut out.facts, self.kind.identity, now);
        }
        Ok(())
    }
}
