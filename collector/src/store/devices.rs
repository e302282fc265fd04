use std::net::IpAddr;

use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::Judged;
use farmwatch_shared::state::Digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Page, Result};

/// A device as the collector knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Whether it may report.
    pub standing: Standing,
    /// Serial number that it enrolled with or reports.
    pub serial: Option<String>,
    /// Host name, from its `host` fact.
    pub hostname: String,
    /// Operating system and version, from its `host` fact.
    pub os: String,
    /// Keyed hash of its hardware, eight hex digits; see [`farmwatch_shared::report::Report::machine`].
    pub machine: String,
    /// Serial numbers (hex) of its certificates that are good: the current one and, until the device has used
    /// that, the one before.
    pub certificates: Vec<String>,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// Arrival of its last report.
    pub last_seen: Option<Timestamp>,
    /// `boot` of the last report taken.
    pub boot: String,
    /// `seq` of the last report taken; 0 before the first.
    pub seq: u64,
    /// Digest of the state as stored.
    pub digest: Digest,
    /// Public address of its last report.
    pub public_address: Option<IpAddr>,
    /// That address' country, two letters.
    pub country: Option<String>,
    /// That address' network, such as `AS64500 Example Net`.
    pub network: Option<String>,
    /// The laptop's clock less ours at its last report, in seconds.
    pub clock_skew: i64,
    /// Windows that a full spool has cost, as it last told.
    pub dropped_windows: u64,
    /// The last judgement; `None` before the first.
    pub judged: Option<Judged>,
    /// The site it is in.
    pub site: Option<SiteId>,
}

impl Device {
    /// A device as it is when it has just enrolled and nothing else is known of it.
    pub fn new(id: DeviceId, enrolled_at: Timestamp) -> Self {
        Self {
            id,
            standing: Standing::Enrolled,
            serial: None,
            hostname: String::new(),
            os: String::new(),
            machine: String::new(),
            certificates: Vec::new(),
            enrolled_at,
            last_seen: None,
            boot: String::new(),
            seq: 0,
            digest: Digest::default(),
            public_address: None,
            country: None,
            network: None,
            clock_skew: 0,
            dropped_windows: 0,
            judged: None,
            site: None,
        }
    }
}

/// Whether a device may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Enrolled.
    Enrolled,
    /// Enrolled, and IT should look: its serial is not on the asset list or belongs to another device.
    Pending,
    /// Its certificates are void.
    Revoked,
}

/// Which devices a listing shows.
#[derive(Clone, Debug, Default)]
pub struct DeviceFilter {
    /// Part of id, serial, host name, or assigned user.
    pub text: Option<String>,
    /// Only of this standing.
    pub standing: Option<Standing>,
    /// Only of this site.
    pub site: Option<SiteId>,
    /// Only those last seen before.
    pub silent_since: Option<Timestamp>,
}

/// How many devices there are, by standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCount {
    /// Enrolled.
    pub enrolled: u64,
    /// Enrolled, and IT should look.
    pub pending: u64,
    /// Revoked.
    pub revoked: u64,
}

impl DeviceCount {
    /// So many more.
    pub(super) fn add(&mut self, standing: Standing, count: u64) {
        *match standing {
            Standing::Enrolled => &mut self.enrolled,
            Standing::Pending => &mut self.pending,
            Standing::Revoked => &mut self.revoked,
        } += count;
    }

    /// Of one standing.
    pub fn of(self, standing: Standing) -> u64 {
        match standing {
            Standing::Enrolled => self.enrolled,
            Standing::Pending => self.pending,
            Standing::Revoked => self.revoked,
        }
    }

    /// Those that may report.
    pub fn good(self) -> u64 {
        self.enrolled + self.pending
    }
}

/// Devices.
#[async_trait]
pub trait Devices {
    /// Adds a device that has just enrolled.
    async fn add_device(&self, device: Device) -> Result<()>;
    /// One device.
    async fn device(&self, id: &DeviceId) -> Result<Option<Device>>;
    /// Devices with exactly this serial number.
    async fn devices_by_serial(&self, serial: &str) -> Result<Vec<Device>>;
    /// Devices, by id; those that are searched for by text in an order of the store's own.
    async fn devices(&self, filter: &DeviceFilter, page: &Page) -> Result<Vec<Device>>;
    /// How many devices there are, by standing.
    async fn device_count(&self) -> Result<DeviceCount>;
    /// Changes a device's standing.
    async fn set_standing(&self, id: &DeviceId, standing: Standing) -> Result<()>;
    /// Replaces the list of good certificates.
    async fn set_certificates(&self, id: &DeviceId, certificates: &[String]) -> Result<()>;
}
