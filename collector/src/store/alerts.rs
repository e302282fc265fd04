use async_trait::async_trait;
use farmwatch_shared::id::{AlertId, DeviceId, SiteId};
use farmwatch_shared::waterfall::Bar;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Page, Result};

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What it is about, once: `policy/dev_…/remote_tool/x11vnc`, `device/dev_…`, `site/site_…`. One alert
    /// per key, over its whole life.
    pub key: String,
    /// Its kind.
    pub kind: AlertKind,
    /// Where it stands.
    pub state: AlertState,
    /// How it was closed; set while resolved.
    pub disposition: Option<Disposition>,
    /// How loud it is.
    pub severity: Severity,
    /// A few words.
    pub title: String,
    /// Plain language: why it fired, and what to do now.
    pub summary: String,
    /// Whose it is.
    pub devices: Vec<DeviceId>,
    /// The site, for a site alert.
    pub site: Option<SiteId>,
    /// P(farm-operated) or P(farm); none for policy alerts.
    pub posterior: Option<f64>,
    /// The sum.
    pub waterfall: Vec<Bar>,
    /// The site alert that has taken this one in.
    pub absorbed_by: Option<AlertId>,
    /// Who works on it.
    pub assignee: Option<String>,
    /// Digest of the evidence it was last resolved on: what is new reopens it, the same does not.
    pub resolved_on: Option<String>,
    /// Pieces of evidence that it has rested on in its life, oldest first: what is not among them is new.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// What of it was last told to those who listen; none of one that an earlier version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Grows with every write: the page that was looked at names it, so nobody overwrites what another did.
    pub version: u64,
}

/// What was told of an alert: it is told again when it goes beyond.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The loudest it ever was.
    pub severity: Severity,
    /// The probability.
    pub posterior: Option<f64>,
}

impl Told {
    /// An alert as it stands.
    pub fn of(alert: &Alert) -> Self {
        Self { severity: alert.severity, posterior: alert.posterior }
    }
}

/// Kinds of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Something IT forbids was seen.
    Policy,
    /// One laptop's posterior crosses the threshold.
    Device,
    /// A place's does.
    Site,
}

/// States of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody has looked.
    New,
    /// Somebody has.
    InProgress,
    /// Closed, with a disposition.
    Resolved,
}

/// How an alert was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// A remotely operated laptop, confirmed.
    Confirmed,
    /// Against policy and not malicious.
    PolicyBreach,
    /// Allowed use.
    Authorised,
    /// Farmwatch was wrong.
    FalsePositive,
    /// Cannot be told.
    NotEnoughData,
    /// A test or drill.
    Test,
    /// Told by another alert.
    Duplicate,
}

/// How loud an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To know.
    Low,
    /// This week.
    Medium,
    /// Today.
    High,
    /// Now.
    Critical,
}

/// One step in an alert's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// Which alert.
    pub alert: AlertId,
    /// When.
    pub at: Timestamp,
    /// A user's name, or `farmwatch`.
    pub actor: String,
    /// What happened, in a sentence.
    pub what: String,
}

/// Which alerts a listing shows.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Only in these states; all if empty.
    pub states: Vec<AlertState>,
    /// Only of this kind.
    pub kind: Option<AlertKind>,
    /// Only about this device.
    pub device: Option<DeviceId>,
    /// Part of title or summary.
    pub text: Option<String>,
    /// With those that another alert has taken in.
    pub absorbed: bool,
    /// Only those that this alert has taken in.
    pub absorbed_by: Option<AlertId>,
    /// Only raised or changed after.
    pub since: Option<Timestamp>,
}

impl AlertFilter {
    /// What nobody has closed about a device, also where another alert has taken it in.
    pub fn open_of(device: &DeviceId) -> Self {
        let states = vec![AlertState::New, AlertState::InProgress];
        Self { device: Some(device.clone()), states, absorbed: true, ..Self::default() }
    }
}

/// Alerts.
#[async_trait]
pub trait Alerts {
    /// One alert.
    async fn alert(&self, id: &AlertId) -> Result<Option<Alert>>;
    /// The alert of a key.
    async fn alert_by_key(&self, key: &str) -> Result<Option<Alert>>;
    /// Alerts: loudest first, then newest change first.
    async fn alerts(&self, filter: &AlertFilter, page: &Page) -> Result<Vec<Alert>>;
    /// How many alerts a filter matches.
    async fn alert_count(&self, filter: &AlertFilter) -> Result<u64>;
    /// An alert's life, oldest first.
    async fn alert_events(&self, id: &AlertId) -> Result<Vec<AlertEvent>>;
    /// Deletes resolved alerts that last changed before a time, with their lives; how many went.
    async fn trim_alerts(&self, before: Timestamp) -> Result<u64>;
}

impl Disposition {
    /// All of them, for forms.
    pub const ALL: [Self; 7] = [
        Self::Confirmed,
        Self::PolicyBreach,
        Self::Authorised,
        Self::FalsePositive,
        Self::NotEnoughData,
        Self::Test,
        Self::Duplicate,
    ];

    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::PolicyBreach => "against policy, not malicious",
            Self::Authorised => "authorised",
            Self::FalsePositive => "false positive",
            Self::NotEnoughData => "not enough data",
            Self::Test => "test",
            Self::Duplicate => "duplicate",
        }
    }
}

impl Severity {
    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl AlertKind {
    /// As people and programs read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Device => "device",
            Self::Site => "site",
        }
    }
}

impl AlertState {
    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InProgress => "in progress",
            Self::Resolved => "resolved",
        }
    }
}
