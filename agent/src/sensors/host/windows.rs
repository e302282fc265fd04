//! Windows: the firmware's tables, the registry.

use std::collections::BTreeMap;
use std::path::Path;

use farmwatch_shared::firmware::{hypervisor, says_nothing};
use farmwatch_shared::smbios;
use jiff::{SignedDuration, Timestamp};

use super::from_windows::{CurrentVersion, version};
use super::{Config, Host, Sensed, SensorError};
use crate::windows::{firmware_tables, registry};
use crate::{machine, system};

const VERSION: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";

pub(super) fn host(config: &Config, out: &mut Sensed) -> Result<Host, SensorError> {
    crate::windows::is_here(config)?;
    let read = registry::machine(VERSION).map(|key| CurrentVersion {
        product: registry::text(&key, "ProductName"),
        display: registry::text(&key, "DisplayVersion"),
        build: registry::text(&key, "CurrentBuildNumber"),
        revision: key.get_u32("UBR").ok(),
    });
    let tables = smbios::parse_raw(&firmware_tables());
    if tables == smbios::Smbios::default() {
        out.note("the firmware's tables say nothing: model and serial number are not known");
    }
    let said = |text: Option<String>| text.filter(|text| !says_nothing(text));
    let (vendor, model) = (said(tables.vendor), said(tables.model));
    let hypervisor = hypervisor(vendor.as_deref(), model.as_deref());
    let chassis = tables.chassis_type.map(|kind| smbios::chassis(kind, hypervisor.is_some()).to_owned());
    Ok(Host {
        os: "windows".into(),
        os_version: version(&read.unwrap_or_default()),
        hostname: machine::hostname(Path::new("/")),
        serial: said(tables.serial).or_else(|| said(tables.chassis_serial)),
        hypervisor: hypervisor.map(str::to_owned),
        chassis,
        vendor,
        model,
        boot_time: boot_time(),
        agent_version: String::new(),
        managed_by: managed_by(),
    })
}

/// To the minute.
fn boot_time() -> Option<Timestamp> {
    let up = SignedDuration::try_from(system::since_boot()).ok()?;
    let at = Timestamp::now().checked_sub(up).ok()?;
    Timestamp::from_second(at.as_second().div_euclid(60) * 60).ok()
}

/// Ids under which Intune, Defender and CrowdStrike know this laptop.
fn managed_by() -> BTreeMap<String, String> {
    let ids = [("intune", intune()), ("defender", defender()), ("crowdstrike", crowdstrike())];
    let is_id = |id: &String| {
        (8..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    ids.into_iter().filter_map(|(agent, id)| Some((agent.to_owned(), id.filter(is_id)?))).collect()
}

/// The id that the enrolment in mobile device management gave.
fn intune() -> Option<String> {
    let enrolments = registry::machine(r"SOFTWARE\Microsoft\Enrollments")?;
    registry::keys(&enrolments).into_iter().find_map(|name| {
        let client = enrolments.open(format!(r"{name}\DMClient\MS DM Server")).ok()?;
        registry::text(&client, "EntDMID")
    })
}

fn defender() -> Option<String> {
    registry::text(&registry::machine(r"SOFTWARE\Microsoft\Windows Advanced Threat Protection")?, "senseId")
}

/// The agent's id, sixteen bytes; CrowdStrike's keys have these names on every machine.
fn crowdstrike() -> Option<String> {
    const DEFAULT: &str = r"SYSTEM\CrowdStrike\{9b03c1d9-3138-44ed-9fae-d9f4c034b88d}\{16e0423f-7058-48c9-a204-725362b67639}\Default";
    let id = registry::machine(DEFAULT)?.get_value("AG").ok()?;
    (id.len() == 16).then(|| hex::encode(&*id))
}
