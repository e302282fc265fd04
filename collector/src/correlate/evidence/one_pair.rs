use farmwatch_shared::judge::PlaceEvidence;

use super::super::view::{Member, SiteView};
use super::rhythm::{Rhythm, Windows};

/// In larger places other evidence speaks, and pairs are many.
const MOST_LAPTOPS: usize = 40;
/// Windows of work that each of two needs on a day for the day to count: an hour.
const WORKED: usize = 12;
/// Days that count before anything is said.
const DAYS: usize = 3;
/// Turns from one to the other on a day: two people in shifts change once.
const TURNS: f64 = 2.0;
/// One person at two laptops overlaps at the turns only.
const OVERLAP: f64 = 0.15;
/// Work comes in stretches: so many windows in a row say what one does.
const STRETCH: f64 = 6.0;

/// One pair of hands: two people's laptops are in use on the same days, in turns and never together.
///
/// Null model: two people who work the same hours are active in the same five minutes as chance has it: on each day,
/// the product of their shares of the time that either worked, in stretches of half an hour (assumption). The
/// likelihood of so few common windows falls as e^−(expected − seen)/6; the weights file has the most that it may say.
/// People in shifts change once a day and do not take turns.
/// Defeated by an operator for each laptop.
pub fn one_pair(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let most = view.weights.place.get("place.one_pair")?.farm;
    let placed: Vec<&Member> = view.placed().collect();
    if placed.len() > MOST_LAPTOPS {
        return None;
    }
    let mut best: Option<Pair> = None;
    for (index, one) in placed.iter().enumerate() {
        for other in &placed[index + 1..] {
            if one.household() == other.household() {
                continue;
            }
            let (Some(a), Some(b)) = (view.rhythms.get(&one.id), view.rhythms.get(&other.id)) else {
                continue;
            };
            let pair = Pair::of(a, b);
            if pair.speaks() && best.as_ref().is_none_or(|known| pair.nats() > known.nats()) {
                best = Some(pair);
            }
        }
    }
    let pair = best?;
    let why = format!(
        "one pair of hands: two people's laptops were in use on the same {} days, in turns ({:.0} a day), and in {} of \
         {:.0} five-minute windows together that chance would give",
        pair.days,
        pair.turns / pair.days as f64,
        pair.together,
        pair.expected
    );
    view.evidence("place.one_pair", pair.nats() / most, why)
}

#[derive(Default)]
struct Pair {
    days: usize,
    together: usize,
    expected: f64,
    turns: f64,
}

impl Pair {
    fn of(a: &Rhythm, b: &Rhythm) -> Self {
        let mut pair = Self::default();
        for (day, mine) in &a.work {
            let Some(theirs) =
                b.work.get(day).filter(|theirs| theirs.len() >= WORKED && mine.len() >= WORKED)
            else {
                continue;
            };
            let ends = |all: &Windows| Some((*all.first()?, *all.last()?));
            let (Some((from, to)), Some((since, until))) = (ends(mine), ends(theirs)) else { continue };
            let span = (to.max(until) - from.min(since) + 1) as f64;
            pair.days += 1;
            pair.together += mine.intersection(theirs).count();
            pair.expected += mine.len() as f64 * theirs.len() as f64 / span;
            pair.turns += turns(mine, theirs) as f64;
        }
        pair
    }

    fn speaks(&self) -> bool {
        self.days >= DAYS
            && (self.together as f64) < OVERLAP * self.expected
            && self.turns >= TURNS * self.days as f64
    }

    fn nats(&self) -> f64 {
        (self.expected - self.together as f64) / STRETCH
    }
}

/// How often work went over from one to the other and back.
fn turns(mine: &Windows, theirs: &Windows) -> usize {
    let mut all: Vec<(i64, bool)> = mine.iter().map(|at| (*at, true)).collect();
    all.extend(theirs.iter().map(|at| (*at, false)));
    all.sort_unstable();
    all.windows(2).filter(|two| two[0].1 != two[1].1).count()
}
