use std::collections::BTreeSet;
use std::sync::LazyLock;

use farmwatch_shared::judge::PlaceEvidence;
use farmwatch_shared::rules::share_of_strange_hardware;
use jiff::{SignedDuration, Timestamp};

use super::super::anchors::maker_of_neighbour;
use super::super::view::SiteView;
use crate::store::{Anchor, AnchorKind, AnchorSeen};

/// Network hardware of company laptops and docks, by the first three bytes of its address.
static WORK_HARDWARE: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("work_hardware.txt").lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).collect()
});

/// Each laptop of ours may be heard by the others, and its dock.
const OF_EACH_OF_OURS: usize = 2;
/// Heard for so long: it stands there, and is no guest's.
const STEADY: SignedDuration = SignedDuration::from_hours(20);

/// Hardware of other companies' laptops and docks stands on the same network, day and night.
///
/// Null model: a home has none to two, a flat two to six, a partner's laptop and dock (assumption); five and more that
/// stay are a workplace's, which people leave for another network ([`super::workplace`]), or a farm's. Twice
/// our own laptops are left out, which hear each other.
/// Counts only where the policy lets agents say who else is on the network.
/// Defeated by Wi-Fi with random addresses for every laptop, and by an uplink for each.
pub fn other_companies(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let placed: Vec<_> = view.placed().collect();
    let all: BTreeSet<&Anchor> =
        placed.iter().flat_map(|member| steady(&member.anchors, view.heard(member))).collect();
    let count = all.len().saturating_sub(OF_EACH_OF_OURS * placed.len());
    let share = share_of_strange_hardware(count)?;
    let why =
        format!("network hardware of {count} laptops and docks that are not ours stands on the same network");
    view.evidence("place.other_companies", share, why)
}

/// How much of it stands around a laptop that stands with none of ours, and was last heard then.
pub fn around_one(anchors: &[AnchorSeen], heard: Timestamp) -> usize {
    steady(anchors, heard).count().saturating_sub(OF_EACH_OF_OURS)
}

fn steady(anchors: &[AnchorSeen], heard: Timestamp) -> impl Iterator<Item = &Anchor> {
    let of_work = |anchor: &Anchor| {
        anchor.kind == AnchorKind::Neighbour
            && maker_of_neighbour(anchor).is_some_and(|maker| WORK_HARDWARE.contains(maker))
    };
    let seen = anchors.iter().filter(move |seen| seen.current && of_work(&seen.anchor));
    seen.filter(move |seen| seen.first_seen + STEADY <= heard).map(|seen| &seen.anchor)
}
