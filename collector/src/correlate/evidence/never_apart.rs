use farmwatch_shared::judge::PlaceEvidence;
use jiff::SignedDuration;

use super::super::view::{Member, SiteView};
use crate::store::AnchorKind;

/// Nothing is said before they have been together for so long.
const AT_LEAST: SignedDuration = SignedDuration::from_hours(14 * 24);
/// It counts in full then.
const IN_FULL: SignedDuration = SignedDuration::from_hours(28 * 24);

/// None of them has ever been anywhere else: all gateways that any of them has shown are the place's.
///
/// Null model: a laptop that people carry meets another gateway within weeks (office, train, hotel, a phone's
/// hotspot); 15 % are docked almost always (assumption), and a docked couple is two of them. So it says little of
/// two, and counts for farm and bench alike. A laptop whose gateway is not known silences it.
/// Defeated by carrying the laptops around now and then.
pub fn never_apart(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let count = view.placed().count();
    let long = view.together_for(count);
    if count < 3 || long < AT_LEAST {
        return None;
    }
    let stayed = |member: &Member<'_>| {
        let mut gateways =
            member.anchors.iter().filter(|seen| seen.anchor.kind == AnchorKind::Gateway).peekable();
        gateways.peek().is_some() && gateways.all(|seen| view.others_show(&seen.anchor, seen.current))
    };
    if !view.placed().all(stayed) {
        return None;
    }
    let days = long.as_hours() / 24;
    let share = long.as_secs_f64() / IN_FULL.as_secs_f64();
    view.evidence("place.never_apart", share, format!("none has been anywhere else in {days} days"))
}
