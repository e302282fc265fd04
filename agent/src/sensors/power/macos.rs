//! macOS: IOKit's power sources and assertions, the registry's root domain, the kernel's clocks.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::from_macos;
use super::{Config, Duration, SensorError, Settings, SupplyNow};
use crate::apple::{iokit, power_sources, system};

/// The setting to sleep is asked for this often: by a program, because no other way to it is documented.
const ASK: Duration = Duration::from_mins(10);
/// What it said, and when.
static NEVER_SLEEPS: Mutex<Option<(Instant, Option<bool>)>> = Mutex::new(None);

pub(super) fn supply(_: &Config) -> Result<SupplyNow, SensorError> {
    let (providing, sources) = power_sources::sources()?;
    let (mains, battery) = from_macos::supply(providing.as_ref(), &sources);
    let lid_closed = iokit::registry("IOPMrootDomain").ok().as_ref().and_then(from_macos::lid_closed);
    Ok(SupplyNow { mains, battery, lid_closed })
}

pub(super) fn settings(config: &Config) -> Settings {
    let assertions = power_sources::assertions();
    Settings {
        never_sleeps: never_sleeps(),
        keep_awake: from_macos::keep_awake(&config.catalogue, &assertions, system::name_of),
        trouble: None,
    }
}

fn never_sleeps() -> Option<bool> {
    let mut last = NEVER_SLEEPS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, answer)) = *last
        && at.elapsed() < ASK
    {
        return answer;
    }
    let text = system::tool("/usr/bin/pmset", &["-g"]).unwrap_or_default();
    let answer = from_macos::never_sleeps(&text);
    *last = Some((Instant::now(), answer));
    answer
}

/// How long the machine has slept since it started: one clock goes on in sleep, the other does not.
pub(super) fn time_asleep(_: &Config) -> Duration {
    system::since_boot().saturating_sub(system::awake_since_boot())
}

/// How long the machine has been up.
#[allow(clippy::unnecessary_wraps, reason = "other systems can fail here")]
pub(super) fn uptime(_: &Config) -> Option<Duration> {
    Some(system::since_boot())
}
