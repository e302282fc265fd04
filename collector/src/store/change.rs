use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::Judged;
use jiff::Timestamp;

use super::{Alert, AlertEvent, Anchor, AnchorSeen, NewAudit, Site, SiteEvent, StoredOrder, Taken};

/// How a judgement of a place saw one of the devices there.
#[derive(Clone, Debug, PartialEq)]
pub struct Stood {
    /// Which.
    pub device: DeviceId,
    /// The site that it was in.
    pub site: Option<SiteId>,
    /// Λ of its own facts, in nats.
    pub llr: f64,
    /// B of its own facts, in nats.
    pub honest_llr: f64,
}

/// One write of those that belong together; see [`super::Work::apply`].
#[derive(Clone, Debug)]
pub enum Change {
    /// A device's judgement.
    Judged(DeviceId, Box<Judged>),
    /// A device's anchors, all of them: what is not listed is no longer current, and its first and last
    /// sighting stay.
    Anchors(DeviceId, Vec<AnchorSeen>),
    /// What a device shows now was seen again at a time; nothing else of its anchors is other than it is stored.
    SeenAgain(DeviceId, Timestamp),
    /// Refused, and all of the transaction with it, unless each of these devices is still as it was seen: so several
    /// collectors that judge the laptops of one place at the same time make one site of it, judged by what all show. Comes
    /// after [`Change::Judged`] of one of them.
    Stand(Vec<Stood>),
    /// Refused, and all of the transaction with it, where more devices show one of these anchors now than this: so of two
    /// laptops that come to one place at the same time, the second is judged anew and finds the first. Comes after
    /// [`Change::Anchors`]; the device that those are of is counted too.
    NoMoreThan(Vec<(Anchor, u64)>),
    /// A site: written or replaced; its devices' `site` is set to it. With the fingerprint of what IT had said when it was
    /// judged; see [`super::SiteGlance::said`].
    PutSite(Box<Site>, u64),
    /// A site, as above, that is not there yet: refused, and all of the transaction with it, where there is one of its id.
    NewSite(Box<Site>, u64),
    /// A site is no more; its devices that still name it name none. It was their former one.
    RemoveSite(SiteId),
    /// A device comes to a site, of which nothing else changes. Refused, and all of the transaction with it, where there is
    /// no such site any more.
    Come(DeviceId, SiteId),
    /// A device leaves the site that it is in, of which nothing else changes.
    Leave(DeviceId),
    /// A step in a place's history.
    SiteEvent(SiteEvent),
    /// Has a site judged again at a time, if it would not be sooner.
    SiteDue(SiteId, Timestamp),
    /// An alert: written or replaced. Refused (all of the transaction) unless its version is one above the
    /// stored one's, or 1 for a new one.
    PutAlert(Box<Alert>),
    /// A step in an alert's life.
    AlertEvent(AlertEvent),
    /// An order: written. Older orders to that device that still wait become void.
    PutOrder(Box<StoredOrder>),
    /// An entry of the audit.
    Audit(NewAudit),
    /// Refused, and all of the transaction with it, unless there are fewer than `most` entries of `action` by `actors` in
    /// the audit since a time, those of this transaction included: so a cap holds for several collectors at once.
    Below {
        /// Most, less one.
        most: u64,
        /// The audit's word.
        action: &'static str,
        /// Whose.
        actors: Vec<String>,
        /// Since when.
        since: Timestamp,
    },
    /// A device is judged. If it changed again since it was taken, it stays on the queue. Refused, and all of the
    /// transaction with it, where another has taken it since for a later change, or is done with it.
    Done(Taken),
}
