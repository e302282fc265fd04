//! macOS: the IOKit registry, the kernel's numbers, `SystemVersion.plist`.

use jiff::Timestamp;

use super::super::read;
use super::from_macos;
use super::{Config, Host, Sensed, SensorError};
use crate::apple::{iokit, ioreg, plist, system};

const VERSION: &str = "System/Library/CoreServices/SystemVersion.plist";

pub(super) fn host(config: &Config, out: &mut Sensed) -> Result<Host, SensorError> {
    let platform = from_macos::platform(&iokit::registry("IOPlatformExpertDevice")?);
    let lid = match iokit::registry("IOPMrootDomain") {
        Ok(tree) => ioreg::entries(&tree).iter().any(|entry| entry.contains_key("AppleClamshellState")),
        Err(error) => {
            out.partly(error);
            false
        }
    };
    let version = read::bytes(&config.path(VERSION), read::SMALL).ok().and_then(|b| plist::parse(&b).ok());
    let guest = system::sysctl_number("kern.hv_vmm_present") == Some(1);
    let hypervisor = from_macos::hypervisor(&platform, guest);
    let hostname = system::sysctl_text("kern.hostname").unwrap_or_default();
    Ok(Host {
        os: "macos".into(),
        os_version: version.as_ref().and_then(from_macos::version).unwrap_or_else(|| "macOS".into()),
        hostname: from_macos::hostname(&hostname),
        chassis: Some(from_macos::chassis(platform.model.as_deref(), lid, hypervisor.is_some()).into()),
        vendor: platform.vendor,
        model: platform.model,
        serial: platform.serial,
        hypervisor,
        boot_time: boot_time(),
        agent_version: String::new(),
        managed_by: super::managed::by(config),
    })
}

/// `kern.boottime`, to the minute.
fn boot_time() -> Option<Timestamp> {
    let seconds = system::sysctl_number("kern.boottime")?;
    Timestamp::from_second(seconds.div_euclid(60) * 60).ok()
}
