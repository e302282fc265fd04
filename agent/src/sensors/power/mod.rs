//! `power`: mains, battery, lid, sleep; and the moments at which they change.

mod changes;
#[cfg(any(target_os = "macos", test))]
mod from_macos;
#[cfg(any(windows, test))]
mod from_windows;
#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

use std::time::Duration;

use farmwatch_shared::facts::Power;
use jiff::Timestamp;

use super::kernel_events::Listener;
use super::{Config, Sensed, Sensor, SensorError, Wake};

/// Looks this often where the kernel tells of adapters and batteries: for the lid and for sleep …
const WITH_EVENTS: Duration = Duration::from_secs(10);
/// … and this often where it does not, so that laptops which lose mains together are seen to.
const WITHOUT: Duration = Duration::from_secs(2);
/// Settings and what holds the machine awake are read at the first of so many looks.
const LOOKS: u32 = 6;

/// What feeds the machine, and its lid.
struct SupplyNow {
    mains: Option<bool>,
    battery: bool,
    lid_closed: Option<bool>,
}

/// What keeps the machine from sleeping.
#[derive(Clone, Default)]
struct Settings {
    never_sleeps: Option<bool>,
    keep_awake: Vec<String>,
    /// Why some of it cannot be told.
    trouble: Option<String>,
}

/// States the fact `power/self`.
#[derive(Default)]
struct PowerSensor {
    live: bool,
    before: Option<changes::Moment>,
    looks: u32,
    settings: Settings,
    events: Option<Listener>,
}

pub(super) fn new(config: &Config) -> Box<dyn Sensor> {
    Box::new(PowerSensor { live: config.is_live(), ..PowerSensor::default() })
}

impl Sensor for PowerSensor {
    fn name(&self) -> &'static str {
        "power"
    }

    fn period(&self) -> Duration {
        if self.events.is_some() { WITH_EVENTS } else { WITHOUT }
    }

    fn watch(&mut self, wake: Wake) {
        self.events = self.live.then(|| Listener::devices(&["power_supply"], wake)).flatten();
    }

    fn sense(&mut self, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
        let config = out.config();
        let supply = os::supply(&config)?;
        if self.looks.is_multiple_of(LOOKS) {
            self.settings = os::settings(&config);
        }
        self.looks = self.looks.wrapping_add(1);
        let moment = changes::Moment {
            at: now,
            mains: supply.mains,
            lid_closed: supply.lid_closed,
            asleep: os::time_asleep(&config),
        };
        let happened: Vec<_> = match &self.before {
            Some(before) => changes::between(before, &moment).collect(),
            None => changes::at_start(now, os::uptime(&config)).collect(),
        };
        happened.into_iter().for_each(|(at, kind)| out.transition(at, kind));
        self.before = Some(moment);
        let Settings { never_sleeps, keep_awake, trouble } = self.settings.clone();
        if let Some(trouble) = trouble {
            out.partly(SensorError::Blind(trouble));
        }
        let SupplyNow { mains, battery, lid_closed } = supply;
        out.fact("self", &Power { mains, battery, lid_closed, never_sleeps, keep_awake });
        Ok(())
    }
}
