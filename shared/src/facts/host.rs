use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Family;

/// The machine itself. One fact, key `host/self`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// `linux`, `windows` or `macos`.
    pub os: String,
    /// As people say it: `Debian GNU/Linux 12`.
    pub os_version: String,
    /// The machine's name: the company's asset, not the person's.
    pub hostname: String,
    /// From the firmware's tables (SMBIOS): who built it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Its product name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The company's own asset's serial number: plain, for the join with MDM, EDR and the asset list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// `laptop`, `desktop`, `convertible`, `virtual`, … by SMBIOS chassis type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chassis: Option<String>,
    /// Name of the hypervisor that this is a guest of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
    /// When the system started, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot_time: Option<Timestamp>,
    /// Version of the agent.
    pub agent_version: String,
    /// Ids under which MDM, EDR and identity services know this laptop: `{"fleet": "…"}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub managed_by: BTreeMap<String, String>,
}

impl Family for Host {
    const NAME: &'static str = "host";
}
