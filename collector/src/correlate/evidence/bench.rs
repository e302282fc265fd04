use farmwatch_shared::judge::PlaceEvidence;
use jiff::SignedDuration;

use super::super::view::SiteView;
use crate::store::Standing;

/// Laptops in stock are given out within so long.
const NEW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Against a farm: nobody has been given any of them yet. All are new, and either wait for IT's look or stand on the
/// asset list without a person: that is IT's bench, or a box from the maker.
///
/// Null model: a farm's laptops were shipped to the people whose names they carry. Says nothing without an asset
/// list.
pub fn stock(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    if !view.has_assets || view.members.is_empty() {
        return None;
    }
    let in_stock = |member: &super::super::view::Member| {
        let unassigned = member.asset.as_ref().is_none_or(|asset| asset.user.trim().is_empty());
        unassigned && member.enrolled_at + NEW > view.now
    };
    if !view.members.iter().all(in_stock) {
        return None;
    }
    let pending = view.members.iter().filter(|m| m.standing == Standing::Pending).count();
    let why =
        format!("all are new and given to nobody yet, as the asset list says ({pending} wait for IT's look)");
    view.evidence("place.stock", 1.0, why)
}
