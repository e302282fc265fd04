//! macOS: `pmset`, the registry's root domain, the kernel's clocks.

use super::from_macos;
use super::{Config, Duration, SensorError, Settings, SupplyNow};
use crate::apple::system;

pub(super) fn supply(_: &Config) -> Result<SupplyNow, SensorError> {
    let (mains, battery) = from_macos::supply(&system::tool("/usr/bin/pmset", &["-g", "batt"])?);
    let lid_closed = system::registry("IOPMrootDomain", 1).ok().as_ref().and_then(from_macos::lid_closed);
    Ok(SupplyNow { mains, battery, lid_closed })
}

pub(super) fn settings(config: &Config) -> Settings {
    let pmset = |what: &[&str]| system::tool("/usr/bin/pmset", what).unwrap_or_default();
    Settings {
        never_sleeps: from_macos::never_sleeps(&pmset(&["-g"])),
        keep_awake: from_macos::keep_awake(&config.catalogue, &pmset(&["-g", "assertions"])),
    }
}

/// How long the machine has slept since it started: one clock goes on in sleep, the other does not.
pub(super) fn time_asleep(_: &Config) -> Duration {
    system::since_boot().saturating_sub(system::awake_since_boot())
}

/// How long the machine has been up.
pub(super) fn uptime(_: &Config) -> Option<Duration> {
    Some(system::since_boot())
}
