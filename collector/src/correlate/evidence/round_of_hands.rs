use std::collections::BTreeMap;

use farmwatch_shared::judge::PlaceEvidence;

use super::super::view::SiteView;

/// A touch: the laptop's own keyboard in so many five-minute windows of a day, and no more.
const TOUCH: usize = 2;
/// Windows from one touch to the next: ten minutes.
const APART: usize = 2;
/// Days with a round before anything is said, and for its full weight.
const DAYS: f64 = 3.0;
const IN_FULL: f64 = 6.0;

/// A round of hands: on day after day, short touches of the laptops' own keyboards go from one to the next.
///
/// Null model: somebody who works on a docked laptop brushes its keyboard at some time of the day; that two do so
/// within ten minutes happens on one day in twenty (assumption), on three days in 1 of 8,000 weeks. People who use their
/// keyboards for longer are no round. IT's staging bench does the same: it counts for both.
/// Defeated by a touch of each at another time.
pub fn round_of_hands(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let mut touches: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    let mut longer: BTreeMap<i64, usize> = BTreeMap::new();
    for usage in view.placed().filter_map(|member| view.beside.rhythms.get(&member.id)) {
        for day in usage.days() {
            match day.own.iter().next() {
                Some(first) if day.own.len() <= TOUCH => touches.entry(day.number).or_default().push(first),
                Some(_) => *longer.entry(day.number).or_default() += 1,
                None => {}
            }
        }
    }
    let is_round = |(day, at): &(i64, Vec<usize>)| {
        let mut at = at.clone();
        at.sort_unstable();
        at.len() >= 2
            && at.len() > longer.get(day).copied().unwrap_or(0)
            && at.windows(2).all(|two| two[1] - two[0] <= APART)
    };
    let rounds: Vec<(i64, Vec<usize>)> = touches.into_iter().filter(is_round).collect();
    let days = rounds.len() as f64;
    if days < DAYS {
        return None;
    }
    let most = rounds.iter().map(|(_, at)| at.len()).max().unwrap_or(0);
    let why = format!(
        "on {days:.0} days short touches went from laptop to laptop within minutes, {most} of them at most"
    );
    view.evidence("place.round_of_hands", days / IN_FULL, why)
}
