use farmwatch_shared::judge::PlaceEvidence;
use jiff::SignedDuration;

use super::super::view::{Member, SiteView};
use crate::store::Standing;

/// Laptops in stock are given out within so long.
const NEW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// This share of them: between the new ones stand laptops that come back, whose people IT has not taken off its list.
const NEARLY_ALL: f64 = 0.8;

/// Against a farm: nobody has been given them yet. Nearly all are new, and either wait for IT's look or stand on the
/// asset list without a person: that is IT's bench, or a box from the maker.
///
/// Null model: a farm's laptops were shipped to the people whose names they carry. Says nothing without an asset
/// list.
pub fn stock(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    if !view.beside.has_assets || view.members.is_empty() {
        return None;
    }
    let in_stock = |member: &Member<'_>| {
        let unassigned = member.asset.as_ref().is_none_or(|asset| asset.user.trim().is_empty());
        unassigned && member.enrolled_at + NEW > view.beside.now
    };
    let stocked = view.members.iter().filter(|member| in_stock(member)).count();
    if (stocked as f64) < NEARLY_ALL * view.members.len() as f64 {
        return None;
    }
    let pending = view.members.iter().filter(|m| m.standing == Standing::Pending).count();
    let why = format!(
        "{stocked} are new and given to nobody yet, as the asset list says ({pending} wait for IT's look)"
    );
    view.evidence("place.stock", 1.0, why)
}
