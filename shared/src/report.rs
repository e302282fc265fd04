//! The report: a numbered batch of changes from one device.
//!
//! On the wire a body is one or more reports as NDJSON, compressed with zstd (see [`crate::wire`]). Version 1.
//! Fields that a reader does not know are kept in `other` or, within facts, as they are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::{Transition, Window};
use crate::id::DeviceId;
use crate::state::{Digest, FactKey};

/// The version that this code writes.
pub const VERSION: u32 = 1;

/// A numbered batch of changes. One without changes is a heartbeat.
///
/// (`device`, `boot`, `seq`) names it: the collector takes each once. `seq` grows by one from report to
/// report over the life of the agent's state folder; `boot` changes whenever the agent starts, so that two
/// agents which write under one name are told apart from one that repeats itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the format.
    pub v: u32,
    /// Who reports. Must be the device that the client certificate names.
    pub device: DeviceId,
    /// Eight hex digits drawn when the agent started.
    pub boot: String,
    /// Place in the order of this device's reports, from 1.
    pub seq: u64,
    /// When the report was made, by the laptop's own clock.
    pub at: Timestamp,
    /// Keyed hash of the hardware's identity, first eight hex digits: a state folder that was copied to
    /// another machine shows here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
    /// Digest of the whole state after this report.
    pub digest: Digest,
    /// `set` is the whole state, not a change: what is not in it is gone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub whole: bool,
    /// Facts that are new or different.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<FactKey, Value>,
    /// Facts that are no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<FactKey>,
    /// Finished activity windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Moments at which something changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// Windows that a full spool has cost since the agent was enrolled.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped_windows: u64,
    /// What a newer agent added.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Report {
    /// Nothing but "I am here".
    pub fn is_heartbeat(&self) -> bool {
        !self.whole
            && self.set.is_empty()
            && self.gone.is_empty()
            && self.windows.is_empty()
            && self.transitions.is_empty()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(b: &bool) -> bool {
    !b
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
