use farmwatch_shared::judge::PlaceEvidence;

use super::super::operator::{candidates, ln_pairs};
use super::super::view::{Member, SiteView};
use super::rhythm::Turns;
use crate::store::AnchorKind;

/// In larger places other evidence speaks, and pairs are many.
const MOST_LAPTOPS: usize = 40;

/// One pair of hands: two people's laptops are in use on the same days, in turns and never together ([`Turns`]).
///
/// The likeliest pair speaks, so ln of the number of pairs that it was picked from is taken off: of those that stand
/// together, or, for two that stand apart, of the whole fleet's ([`super::super::operator`]). The weights file has the
/// most that either may say. Defeated by an operator for each laptop.
pub fn one_pair(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let most = view.beside.weights.place.get("place.one_pair")?.farm;
    if view.members.len() > MOST_LAPTOPS {
        return None;
    }
    let afar = ln_pairs(view.beside.counts.get(&candidates()).copied().unwrap_or(0));
    let placed = view.placed().count() as f64;
    let near = (placed * (placed - 1.0) / 2.0).max(1.0).ln();
    let mut best: Option<(f64, Turns)> = None;
    for (index, one) in view.members.iter().enumerate() {
        for other in &view.members[index + 1..] {
            let beside = one.placed && other.placed;
            if one.household == other.household || !(beside || one_operator(one, other)) {
                continue;
            }
            let (Some(a), Some(b)) = (view.beside.rhythms.get(&one.id), view.beside.rhythms.get(&other.id))
            else {
                continue;
            };
            let turns = Turns::of(a, b);
            let says = turns.nats() - if beside { near } else { afar };
            if turns.speaks() && says > 0.0 && best.as_ref().is_none_or(|(known, _)| says > *known) {
                best = Some((says, turns));
            }
        }
    }
    let (says, turns) = best?;
    let why = format!(
        "one pair of hands: two people's laptops were in use on the same {} days, in turns ({:.0} a day), and in {} of \
         {:.0} five-minute windows together that chance would give",
        turns.days,
        turns.turns / turns.days as f64,
        turns.together,
        turns.expected
    );
    view.evidence("place.one_pair", says / most, why)
}

fn one_operator(one: &Member<'_>, other: &Member<'_>) -> bool {
    one.current(AnchorKind::Operator).any(|anchor| other.shows(anchor))
}
