//! How the agent does, in `status.json` (0644): for `farmwatch-agent status` and whoever uses the laptop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use farmwatch_shared::facts::{Isolation, SensorStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Daemon;
use crate::clock::{Mono, Now};

/// The file is written at most this often.
const GAP: Duration = Duration::from_secs(2);

/// How the agent does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The agent's version.
    pub version: String,
    /// Its process; 0 once it stopped.
    pub pid: u32,
    /// Its device.
    pub device: String,
    /// Its collector.
    pub collector: String,
    /// When the collector last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached_at: Option<Timestamp>,
    /// Why it did not answer since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Bytes of reports that wait.
    pub waiting_bytes: u64,
    /// Windows that a full spool has cost.
    pub dropped_windows: u64,
    /// Counter of the policy.
    pub policy: u64,
    /// Counter of the catalogue; 0 is the shipped one.
    pub catalogue: u64,
    /// Level of what is reported: 2 only while a finding stands.
    pub level: u8,
    /// When the certificate expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<Timestamp>,
    /// Isolation, where there is or was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Each sensor's state.
    pub sensors: BTreeMap<String, SensorStatus>,
    /// Settings that IT's policy folder fixed.
    pub managed: Vec<String>,
}

impl Status {
    /// Where it stands.
    pub fn path(state: &Path) -> PathBuf {
        state.join("status.json")
    }
}

/// Writes the status down where it changed.
#[derive(Debug)]
pub struct Board {
    path: PathBuf,
    written: Status,
    not_before: Mono,
    reached_at: Option<Timestamp>,
    trouble: Option<String>,
}

impl Board {
    /// A board in a state folder.
    pub fn new(state: &Path) -> Self {
        Self {
            path: Status::path(state),
            written: Status::default(),
            not_before: Mono::default(),
            reached_at: None,
            trouble: None,
        }
    }

    /// The collector answered.
    pub fn reached(&mut self, now: Now) {
        self.reached_at = Some(now.wall);
        self.trouble = None;
    }

    /// It did not.
    pub fn failed(&mut self, why: String) {
        self.trouble = Some(why);
    }

    /// Writes a status that differs from the last; gives the time at which to call again if that is too soon
    /// after the last.
    pub fn write(&mut self, status: &Status, now: Mono) -> Option<Mono> {
        if *status == self.written {
            return None;
        }
        if now < self.not_before {
            return Some(self.not_before);
        }
        self.not_before = now + GAP;
        if self.put(status) {
            self.written = status.clone();
        }
        None
    }

    /// The agent stops.
    pub fn stopped(&mut self) {
        let status = Status { pid: 0, ..self.written.clone() };
        self.put(&status);
    }

    /// Not synced: after a power cut it is written anew.
    fn put(&self, status: &Status) -> bool {
        let new = self.path.with_extension("new");
        let written = serde_json::to_vec_pretty(status)
            .map_err(std::io::Error::from)
            .and_then(|bytes| {
                use std::io::Write as _;
                crate::files::create(&new, crate::files::Readers::All)?.write_all(&bytes)
            })
            .and_then(|()| std::fs::rename(&new, &self.path));
        if let Err(error) = &written {
            tracing::debug!(%error, "cannot write the status");
        }
        written.is_ok()
    }
}

impl Daemon {
    pub(super) fn status(&self) -> Status {
        let state = self.reporter.state();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            device: self.identity.device.to_string(),
            collector: self.client.url().to_string(),
            reached_at: self.board.reached_at,
            trouble: self.board.trouble.clone(),
            waiting_bytes: self.spool.unacked_bytes(),
            dropped_windows: self.spool.dropped_windows(),
            policy: self.adopted.policy_counter,
            catalogue: self.adopted.catalogue_counter,
            level: if self.level.is_2() { 2 } else { 1 },
            certificate_expires_at: self.identity.expires_at().ok(),
            isolation: state.get::<Isolation>("self").cloned(),
            sensors: state.all::<SensorStatus>().map(|(key, s)| (key.name().to_owned(), s.clone())).collect(),
            managed: self.config.managed.clone(),
        }
    }
}
