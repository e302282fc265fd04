use std::net::IpAddr;

use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::JudgedSite;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::convert::ms;
use super::{Asset, Page, Result, Standing};

/// A value by which devices can be found to stand together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Anchor {
    /// Its kind.
    pub kind: AnchorKind,
    /// The value: an address or prefix, or a hash.
    pub value: String,
}

/// Kinds of anchors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnchorKind {
    /// Public IPv4 address, or IPv6 prefix of 56 bits.
    PublicAddress,
    /// Default gateway's hardware address.
    Gateway,
    /// DHCP server: beside the gateway where that is another machine, or is not known.
    DhcpServer,
    /// Another machine on the same network segment.
    Neighbour,
    /// Serial of a USB device.
    UsbSerial,
    /// Serial of a display.
    DisplaySerial,
    /// Account of a remote-access tool.
    ToolAccount,
    /// Mains or network lost and regained, by the second.
    Outage,
    /// Where IT sent it.
    ShippedTo,
    /// Worked on from afar, as its own findings say: not a place, but a list of those that may have one operator.
    FromAfar,
    /// One pair of hands works on two laptops in turn; the value names both.
    Operator,
    /// What says nothing of where a laptop stands: how many of the fleet have it is what matters. See
    /// [`crate::correlate::prevalence`].
    Trait,
}

impl AnchorKind {
    /// How many kinds there are.
    pub const KINDS: usize = Self::Trait as usize + 1;

    /// Laptops that share it may belong together.
    pub fn joins(self) -> bool {
        !matches!(self, Self::FromAfar | Self::Trait)
    }

    /// It says where a laptop stands; the others say who works on it.
    pub fn says_where(self) -> bool {
        !matches!(self, Self::ToolAccount | Self::FromAfar | Self::Operator | Self::Trait)
    }

    /// What a device showed once is kept, for the analyst and for what its past says of a place; what is common counts only
    /// while it is there.
    pub fn is_kept(self) -> bool {
        self != Self::Trait
    }

    /// As people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::PublicAddress => "public address",
            Self::Gateway => "gateway",
            Self::DhcpServer => "DHCP server",
            Self::Neighbour => "network neighbour",
            Self::UsbSerial => "USB device",
            Self::DisplaySerial => "display",
            Self::ToolAccount => "remote-tool account",
            Self::Outage => "outage",
            Self::ShippedTo => "shipping address",
            Self::FromAfar => "work from afar",
            Self::Operator => "pair of hands",
            Self::Trait => "trait",
        }
    }
}

/// An anchor that a device showed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnchorSeen {
    /// The anchor.
    pub anchor: Anchor,
    /// First seen.
    pub first_seen: Timestamp,
    /// Last seen.
    pub last_seen: Timestamp,
    /// The device shows it now.
    pub current: bool,
}

/// What of a device its place is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Occupant {
    /// Which.
    pub id: DeviceId,
    /// Whether it may report.
    pub standing: Standing,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// When it was last heard: at its enrolment, if never since.
    pub last_seen: Timestamp,
    /// The address that its reports come from.
    pub public_address: Option<IpAddr>,
    /// The site that it is in.
    pub site: Option<SiteId>,
    /// What IT knows of it.
    pub asset: Option<Asset>,
    /// Λ of its own facts, in nats.
    pub llr: f64,
    /// B of its own facts, in nats.
    pub honest_llr: f64,
    /// What it shows, traits aside, and the gateways and things that it has shown, by kind's word and value.
    pub anchors: Vec<AnchorSeen>,
}

/// Devices in one place, or worked on by the same somebody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Who is there, by id.
    pub devices: Vec<DeviceId>,
    /// What holds it together: anchors that at least two of them share now.
    pub anchors: Vec<Anchor>,
    /// Name of the sanctioned place that it is, if it is one.
    pub sanctioned: Option<String>,
    /// The last judgement.
    pub judged: JudgedSite,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Site {
    /// As it is stored: who is there is what devices name.
    pub(super) fn without_devices(&self) -> Self {
        Self {
            id: self.id.clone(),
            devices: Vec::new(),
            anchors: self.anchors.clone(),
            sanctioned: self.sanctioned.clone(),
            judged: self.judged.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// A site whose laptops and facts stay as they are is judged again after so long: time itself is evidence.
pub const SITE_WAIT: SignedDuration = SignedDuration::from_hours(6);

/// A laptop that was not heard for so many whole days (UTC) stands nowhere; when it is heard again, it is judged. As long
/// as windows are looked back on. Assumption.
pub const AWAY_DAYS: i64 = 14;

/// What of a site shows whether it is to be judged anew.
#[derive(Clone, Debug, PartialEq)]
pub struct SiteGlance {
    /// When it was last judged.
    pub judged_at: Timestamp,
    /// When it is to be judged again though nobody comes or goes: [`SITE_WAIT`] later, or sooner where something changed.
    pub due_at: Timestamp,
    /// How many are there.
    pub size: u64,
    /// Fingerprint of what IT had said by then: its places, exceptions, policy, weights and asset list.
    pub said: u64,
    /// Its P(farm).
    pub farm: f64,
    /// Name of the sanctioned place that it was when it was last judged.
    pub sanctioned: Option<String>,
}

/// One step in the history of a place that may be a farm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteEvent {
    /// Which place.
    pub site: SiteId,
    /// When it was noticed.
    pub at: Timestamp,
    /// What.
    pub step: SiteStep,
}

/// What became of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteStep {
    /// From here on its history is kept; these stood there.
    Noticed(Vec<DeviceId>),
    /// A laptop came.
    Came(DeviceId),
    /// A laptop left.
    Left(DeviceId),
    /// It turned out to be one with another place.
    Merged(SiteId),
    /// Nobody stands there any more.
    Ended,
}

impl Site {
    /// They stand in one place; else only who works on them joins them.
    pub fn is_place(&self) -> bool {
        self.anchors.is_empty() || self.anchors.iter().any(|anchor| anchor.kind.says_where())
    }
}

/// A sighting says nothing beside what is stored of it.
pub(super) fn is_written(then: &AnchorSeen, first_seen: Timestamp, now: &AnchorSeen) -> bool {
    let written = (ms(then.first_seen), ms(then.last_seen), then.current);
    written == (ms(first_seen), ms(now.last_seen), now.current)
}

/// Anchors and sites.
#[async_trait]
pub trait Sites {
    /// All anchors that a device has shown, current or not.
    async fn anchors_of(&self, device: &DeviceId) -> Result<Vec<AnchorSeen>>;
    /// Devices that show each of some anchors now, at most `limit` for each.
    async fn devices_at(&self, anchors: &[Anchor], limit: u32) -> Result<Vec<Vec<DeviceId>>>;
    /// Of some devices those that there are, in their order, each with what its place is judged by.
    async fn occupants(&self, devices: &[DeviceId]) -> Result<Vec<Occupant>>;
    /// How many devices show each of some anchors now.
    async fn counts_at(&self, anchors: &[Anchor]) -> Result<Vec<u64>>;
    /// How many of the devices of a site show each of some anchors now.
    async fn counts_in(&self, site: &SiteId, anchors: &[Anchor]) -> Result<Vec<u64>>;
    /// Whether a site is to be judged.
    async fn site_glance(&self, id: &SiteId) -> Result<Option<SiteGlance>>;
    /// One site.
    async fn site(&self, id: &SiteId) -> Result<Option<Site>>;
    /// The site that half of some devices or more stood in before, two at least, and that is no more.
    async fn former_site(&self, devices: &[DeviceId]) -> Result<Option<SiteId>>;
    /// The history of a place, oldest first, also of one that is no more; at most `limit` steps.
    async fn site_events(&self, id: &SiteId, limit: u32) -> Result<Vec<SiteEvent>>;
    /// How many sites there are.
    async fn site_count(&self) -> Result<u64>;
    /// Sites, most probable farm first.
    async fn sites(&self, page: &Page) -> Result<Vec<Site>>;
}
