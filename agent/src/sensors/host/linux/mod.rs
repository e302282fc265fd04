//! Linux: DMI tables in sysfs (device tree on ARM), os-release, the kernel's boot time.

use farmwatch_shared::firmware::{self, says_nothing};
use farmwatch_shared::smbios;
use jiff::Timestamp;

use super::super::read;
use super::super::{SensorError, assignments};
use super::{Config, Host, Sensed};

/// `/proc/stat` of a machine with many cores has long lines before the boot time.
const STAT: usize = 1 << 20;
/// The first processor's entry in `/proc/cpuinfo` is shorter.
const CPUINFO: usize = 8 << 10;

pub(super) fn host(config: &Config, out: &mut Sensed) -> Result<Host, SensorError> {
    let os_release = ["etc/os-release", "usr/lib/os-release"];
    let os_release = os_release.iter().find_map(|path| assignments::of_file(&config.path(path)).ok());
    let os_release = os_release.unwrap_or_default();
    let hostname = ["proc/sys/kernel/hostname", "etc/hostname"];
    let hostname = hostname.iter().find_map(|path| read::attribute(&config.path(path)));
    if os_release.is_empty() && hostname.is_none() {
        let reason =
            "neither /etc/os-release nor the host name can be read; is the agent's view of / restricted?";
        return Err(SensorError::Blind(reason.into()));
    }
    let serial = read::text(&config.path("sys/class/dmi/id/product_serial"), read::SMALL);
    if let Err(error) = &serial
        && error.why == read::Why::NotPermitted
    {
        out.partly(SensorError::NotPermitted(error.to_string()));
    }
    let vendor = said(config, &["sys/class/dmi/id/sys_vendor"]);
    let model = said(config, &["sys/class/dmi/id/product_name", "proc/device-tree/model"]);
    let hypervisor = hypervisor(config, vendor.as_deref(), model.as_deref());
    Ok(Host {
        os: "linux".into(),
        os_version: assignments::last(&os_release, "PRETTY_NAME").unwrap_or("Linux").to_owned(),
        hostname: hostname.unwrap_or_default(),
        serial: said(
            config,
            &[
                "sys/class/dmi/id/product_serial",
                "sys/class/dmi/id/chassis_serial",
                "proc/device-tree/serial-number",
            ],
        ),
        chassis: chassis(config, hypervisor.is_some()),
        vendor,
        model,
        hypervisor,
        boot_time: boot_time(config),
        agent_version: String::new(),
        managed_by: super::managed::by(config),
    })
}

/// The first of these that the maker filled in.
fn said(config: &Config, paths: &[&str]) -> Option<String> {
    let filled = |path: &&str| read::attribute(&config.path(path)).filter(|text| !says_nothing(text));
    paths.iter().find_map(filled)
}

fn chassis(config: &Config, guest: bool) -> Option<String> {
    let number: u8 = read::attribute(&config.path("sys/class/dmi/id/chassis_type"))?.parse().ok()?;
    Some(smbios::chassis(number, guest).to_owned())
}

/// Says which hypervisor this is a guest of: by the firmware's words, else by the processor's flag.
fn hypervisor(config: &Config, vendor: Option<&str>, model: Option<&str>) -> Option<String> {
    if let Some(name) = firmware::hypervisor(vendor, model) {
        return Some(name.to_owned());
    }
    if let Some(kind) = read::attribute(&config.path("sys/hypervisor/type")) {
        return Some(kind);
    }
    let cpuinfo = read::start(&config.path("proc/cpuinfo"), CPUINFO).ok()?;
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    flags.split_whitespace().any(|flag| flag == "hypervisor").then(|| "unknown".to_owned())
}

/// `btime` of `/proc/stat`, to the minute.
fn boot_time(config: &Config) -> Option<Timestamp> {
    let stat = read::start(&config.path("proc/stat"), STAT).ok()?;
    let seconds: i64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Timestamp::from_second(seconds.div_euclid(60) * 60).ok()
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::{SensorState, SensorStatus};

    use super::super::super::test::{look, write};
    use super::*;

    #[test]
    fn a_laptop_says_who_built_it_and_when_it_started() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\n"),
                ("proc/sys/kernel/hostname", "lt-0042\n"),
                ("proc/stat", "cpu  1 2 3\nbtime 1795507230\nprocesses 9\n"),
                ("sys/class/dmi/id/sys_vendor", "LENOVO\n"),
                ("sys/class/dmi/id/product_name", "20XW0026GE\n"),
                ("sys/class/dmi/id/product_serial", "PF3KJ1ZT\n"),
                ("sys/class/dmi/id/chassis_type", "10\n"),
                ("proc/cpuinfo", "processor : 0\nflags : fpu vme de\n"),
            ],
        );
        let host: Host = look("host", root.path()).state.get("self").cloned().unwrap();
        assert_eq!(host.os_version, "Debian GNU/Linux 13 (trixie)");
        assert_eq!(host.serial.as_deref(), Some("PF3KJ1ZT"));
        assert_eq!(host.chassis.as_deref(), Some("laptop"));
        assert_eq!(host.hypervisor, None);
        assert_eq!(host.boot_time.unwrap().as_second() % 60, 0);
    }

    #[test]
    fn a_guest_says_its_hypervisor() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            &[
                ("etc/hostname", "vm\n"),
                ("sys/class/dmi/id/sys_vendor", "QEMU\n"),
                ("sys/class/dmi/id/chassis_type", "1\n"),
            ],
        );
        let host: Host = look("host", root.path()).state.get("self").cloned().unwrap();
        assert_eq!((host.hypervisor.as_deref(), host.chassis.as_deref()), (Some("QEMU"), Some("virtual")));
    }

    #[test]
    fn a_root_with_nothing_in_it_is_blindness() {
        let root = tempfile::tempdir().unwrap();
        let state = look("host", root.path()).state;
        assert_eq!(state.get::<SensorStatus>("host").unwrap().state, SensorState::Blind);
    }
}
