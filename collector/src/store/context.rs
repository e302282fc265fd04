use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Device, Result};

/// What IT knows of a laptop: a line of the asset list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asset {
    /// Serial number.
    pub serial: String,
    /// Who has it.
    pub user: String,
    /// Where that person works.
    pub department: String,
    /// Address that it was shipped to.
    pub shipped_to: String,
    /// Country where that person should be, two letters.
    pub expected_country: String,
}

/// A place where laptops may stand together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Its name: "Lisbon office", "VPN exit Frankfurt".
    pub name: String,
    /// Its public addresses or networks: `203.0.113.0/24`.
    pub networks: Vec<String>,
    /// Hashes of its gateways, as a site's page shows them.
    pub gateways: Vec<String>,
    /// Laptops that stand elsewhere come out of it (a VPN's exit, a proxy): its addresses then say nothing of
    /// where a laptop stands.
    pub exit: bool,
}

/// Something IT has decided not to hear of, for a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exception {
    /// Its number, from 1; 0 for one that is not stored yet.
    pub id: i64,
    /// What it covers.
    #[serde(flatten)]
    pub scope: ExceptionScope,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Exception {
    /// It covers all about a device.
    pub fn covers(&self, device: &DeviceId) -> bool {
        matches!(&self.scope, ExceptionScope::Device(id) if id == device.as_str())
    }
}

/// What an exception covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "scope", content = "value")]
pub enum ExceptionScope {
    /// All about one device, by id.
    Device(String),
    /// A tool of the catalogue, everywhere, by id.
    Tool(String),
    /// A tool on one device: (device, tool).
    DeviceTool(String, String),
    /// A tenant or account of a tool, by hash.
    Account(String),
    /// A place: an anchor's value.
    Place(String),
    /// A thing: a serial's hash, or a fact key.
    Thing(String),
}

/// What IT tells the collector.
#[async_trait]
pub trait Operator {
    /// Adds or replaces lines of the asset list, by serial number.
    async fn put_assets(&self, assets: Vec<Asset>) -> Result<()>;
    /// A line of the asset list.
    async fn asset(&self, serial: &str) -> Result<Option<Asset>>;
    /// The line of a device's serial number.
    async fn asset_of(&self, device: &Device) -> Result<Option<Asset>> {
        match &device.serial {
            Some(serial) => self.asset(serial).await,
            None => Ok(None),
        }
    }
    /// How many lines there are.
    async fn asset_count(&self) -> Result<u64>;
    /// There is at least one line; in a list of a million, that is sooner known than their number.
    async fn has_assets(&self) -> Result<bool>;
    /// All sanctioned places, by name.
    async fn places(&self) -> Result<Vec<Place>>;
    /// Adds or replaces a place, by name.
    async fn put_place(&self, place: Place) -> Result<()>;
    /// Removes a place; false if there is none of that name.
    async fn remove_place(&self, name: &str) -> Result<bool>;
    /// Exceptions that have not ended.
    async fn exceptions(&self, now: Timestamp) -> Result<Vec<Exception>>;
    /// Adds an exception; its number.
    async fn add_exception(&self, exception: Exception) -> Result<i64>;
    /// Ends an exception now; false if there is none.
    async fn end_exception(&self, id: i64, now: Timestamp) -> Result<bool>;
    /// A value kept under a name: counters of learning mode, schema facts.
    async fn value(&self, name: &str) -> Result<Option<String>>;
    /// Keeps a value under a name.
    async fn put_value(&self, name: &str, value: &str) -> Result<()>;
}
