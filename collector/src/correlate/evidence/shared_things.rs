use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::judge::PlaceEvidence;
use jiff::SignedDuration;

use super::super::view::SiteView;
use crate::store::{Anchor, AnchorKind};

/// How long ago a thing may have been seen.
const LATELY: SignedDuration = SignedDuration::from_hours(14 * 24);
/// A serial number that more laptops show is the maker's for all of them.
const MOST: u64 = 10;

/// One USB device or screen went between the laptops of three or more people.
///
/// Null model: a couple shares a dock, and people who share desks share all of theirs; three households at one
/// desk that IT does not know are rare. A serial number that many laptops of the fleet show is no serial number.
/// Defeated by a switch without a serial number, or a thing for each laptop.
pub fn shared_things(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let mut people: BTreeMap<&Anchor, BTreeSet<&str>> = BTreeMap::new();
    for member in view.placed() {
        for seen in &member.anchors {
            let thing = matches!(seen.anchor.kind, AnchorKind::UsbSerial | AnchorKind::DisplaySerial);
            let rare = view.beside.counts.get(&seen.anchor).copied().unwrap_or(0) <= MOST;
            if thing && rare && (seen.current || seen.last_seen + LATELY > view.beside.now) {
                people.entry(&seen.anchor).or_default().insert(&member.household);
            }
        }
    }
    let (thing, people) = people.into_iter().max_by_key(|(_, people)| people.len())?;
    if people.len() < 3 {
        return None;
    }
    let what = thing.kind.label();
    let why = format!("one {what} went between the laptops of {} people", people.len());
    view.evidence("place.shared_thing", 1.0, why)
}
