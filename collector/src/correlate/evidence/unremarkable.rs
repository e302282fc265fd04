use farmwatch_shared::judge::PlaceEvidence;

use super::super::view::SiteView;

/// A laptop whose own facts weigh less than this either way shows nothing, in nats.
const NOTHING: f64 = 0.5;
/// So many say nothing yet: a farm may have one or two on which nothing is seen.
const SPARED: usize = 2;

/// Against a farm: most laptops here show nothing at all.
///
/// Null model: in an ordinary place nearly every laptop shows nothing, and on IT's bench as well; of a farm's laptops, which
/// somebody works on from elsewhere, two in five show nothing (assumption: hardware in disguise, a blind sensor, a laptop
/// that is not used yet). The sum of what a few of many people show, an open tool here and a jiggler there, would make a
/// farm of any large office otherwise. The weight is for each laptop beyond two, however many there are: so is what the
/// others show.
/// Defeated by nothing that pays: laptops that nobody works on earn nothing.
pub fn unremarkable(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let all = view.members.len();
    let nothing = |llr: f64, honest: f64| llr.abs() < NOTHING && honest.abs() < NOTHING;
    let silent = view.members.iter().filter(|member| nothing(member.llr, member.honest_llr)).count();
    let why = format!("{silent} of {all} laptops show nothing of a farm");
    view.evidence_times("place.unremarkable", silent.saturating_sub(SPARED), why)
}
