use farmwatch_shared::judge::PlaceEvidence;
use jiff::SignedDuration;

use super::super::view::{Member, SiteView};
use crate::store::AnchorKind;

/// Of fewer nothing is learnt.
const FEWEST: usize = 3;
/// Another network that it shows again and again: home, or the office. A café is left after hours.
const AGAIN: SignedDuration = SignedDuration::from_hours(12);
/// Not seen elsewhere for so long: it stays.
const LATELY: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Against a farm: people come and go. Most of those who are here also have another network to which they return.
///
/// Null model: a farm's laptops stand on a shelf; an adapted one carries some out for hours, not to another home.
/// Offices and shared workspaces that IT never named are learnt this way.
/// Defeated by nothing that a farm would do for all of its laptops.
pub fn workplace(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let all: Vec<&Member<'_>> = view.placed().collect();
    let returns = |member: &&&Member<'_>| {
        let gateways = member.anchors.iter().filter(|seen| seen.anchor.kind == AnchorKind::Gateway);
        let elsewhere = gateways.filter(|seen| !view.others_show(&seen.anchor, seen.current));
        elsewhere
            .filter(|seen| seen.last_seen + LATELY > view.beside.now)
            .any(|seen| seen.last_seen.duration_since(seen.first_seen) > AGAIN)
    };
    let coming = all.iter().filter(returns).count();
    if all.len() < FEWEST || 2 * coming < all.len() {
        return None;
    }
    let why = format!("people come and go: {coming} of {} laptops also return to another network", all.len());
    view.evidence("place.workplace", 1.0, why)
}
