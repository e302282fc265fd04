use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::state::State;
use jiff::Timestamp;

use super::{Alert, AnchorSeen, Asset, AuditEntry, Device, Result};

/// What one device is judged by, beside its windows and transitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Dossier {
    /// The device.
    pub device: Device,
    /// Its facts.
    pub state: State,
    /// All anchors that it has shown, current or not.
    pub anchors: Vec<AnchorSeen>,
    /// What IT knows of it.
    pub asset: Option<Asset>,
    /// Shortest round trip of its reports, in milliseconds.
    pub min_rtt_ms: Option<u32>,
    /// The latest entries of the audit about it, newest first; at most [`AUDIT`].
    pub audit: Vec<AuditEntry>,
    /// Its alerts that nobody has closed, also those that a site's alert has taken in.
    pub open: Vec<Alert>,
}

/// Most entries of the audit in a dossier.
pub const AUDIT: u32 = 30;
/// Most open alerts in a dossier.
pub const OPEN: u32 = 200;

/// Dossiers.
#[async_trait]
pub trait Dossiers {
    /// A device's, with round trips since a time; `None` without such a device.
    async fn dossier(&self, device: &DeviceId, since: Timestamp) -> Result<Option<Dossier>>;
}
