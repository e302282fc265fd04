use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;
use farmwatch_shared::facts::{Transition, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::Report;
use farmwatch_shared::state::{Digest, FactKey, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Result;
use super::convert::{ms, time};

/// A report that arrived, checked, with its keyed hashes hashed again by the collector's own key.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The report.
    pub report: Report,
    /// What facts that hashing again has changed add to the digest as they were *sent*. The agent's digest is
    /// over what it sent, so the store keeps this beside each fact and can still see drift. A fact that is
    /// not in here was sent as it stands in `report`.
    pub as_sent: BTreeMap<FactKey, Digest>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Where from.
    pub source: Option<IpAddr>,
    /// That address' country.
    pub country: Option<String>,
    /// That address' network.
    pub network: Option<String>,
    /// What the connection showed.
    pub observed: Observed,
}

/// What a connection shows of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// Smoothed round trip in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<u32>,
    /// Maximum segment size in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mss: Option<u32>,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Durable. The whole state is wanted if the digests differ.
    Taken {
        /// The digest of what is stored differs from what the device says.
        want_state: bool,
    },
    /// It was taken before.
    Duplicate,
    /// Two agents write under one name: this one's hardware, or its place in the order, is not the device's.
    Conflict {
        /// What does not fit.
        why: String,
    },
    /// It would have the device's facts come to more than is kept of one.
    TooMuch {
        /// To how much.
        why: String,
    },
    /// No such device, or it is revoked.
    Unknown,
}

impl Receipt {
    /// What the same agent sends after it in one call is not looked at.
    pub fn stops(&self) -> bool {
        matches!(self, Self::Conflict { .. } | Self::TooMuch { .. })
    }
}

/// A report as it was sent, for the device's page. Heartbeats are not kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SentReport {
    /// Place in the order.
    pub seq: u64,
    /// By the laptop's clock.
    pub at: Timestamp,
    /// By ours.
    pub received_at: Timestamp,
    /// The report, hashes hashed again.
    pub report: Report,
}

/// What a device did, as it stands in the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// Number of the last report that was taken.
    pub upto: u64,
    /// It is all since the time that was asked for, not only what newer reports touched.
    pub whole: bool,
    /// Windows, oldest first if `whole`; if not, as the reports had them: one that came in parts stands here in parts.
    pub windows: Vec<Window>,
    /// Transitions, oldest first if `whole`.
    pub transitions: Vec<Transition>,
}

impl Recorded {
    /// What one report tells, as it is stored: times to the millisecond.
    pub fn of(report: &Report) -> Self {
        let stored = |at: Timestamp| time(ms(at)).unwrap_or(at);
        let transitions = report.transitions.iter().map(|t| Transition { at: stored(t.at), kind: t.kind });
        let transitions = transitions.collect();
        Self { upto: report.seq, whole: false, windows: report.windows.clone(), transitions }
    }
}

/// Reports and what they amount to.
#[async_trait]
pub trait Reports {
    /// Takes reports in one durable transaction, in order; one receipt each. What follows a conflict, or what is too
    /// much, of the same device in one call gets the same receipt, and nothing of it is taken. A device whose facts, windows or
    /// public address changed goes to the work queue in the same transaction.
    async fn ingest(&self, arrivals: Vec<Arrival>) -> Result<Vec<Receipt>>;
    /// A device's facts now.
    async fn state(&self, id: &DeviceId) -> Result<State>;
    /// One of a device's facts, as it was sent.
    async fn fact(&self, id: &DeviceId, key: &FactKey) -> Result<Option<Value>>;
    /// A device's windows since a time, oldest first.
    async fn windows(&self, id: &DeviceId, since: Timestamp) -> Result<Vec<Window>>;
    /// A device's transitions since a time, oldest first.
    async fn transitions(&self, id: &DeviceId, since: Timestamp) -> Result<Vec<Transition>>;
    /// What a device did since a time; with the number of a report that is known, only what later reports touched,
    /// or all of it where the store finds that cheaper.
    async fn recorded(&self, id: &DeviceId, since: Timestamp, after: Option<u64>) -> Result<Recorded>;
    /// The number of the last report taken of each of some devices, in their order; of those that there are.
    async fn last_reports(&self, ids: &[DeviceId]) -> Result<Vec<(DeviceId, u64)>>;
    /// What a device sent last, newest first.
    async fn sent(&self, id: &DeviceId, limit: u32) -> Result<Vec<SentReport>>;
    /// Deletes windows, transitions and sent reports that arrived before a time, and what devices showed of places that they
    /// left before another; how many rows went.
    async fn trim(&self, before: Timestamp, places_before: Timestamp) -> Result<u64>;
}
