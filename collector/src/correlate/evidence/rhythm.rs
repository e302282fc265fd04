//! Laptops compared by when they were worked on: what [`super::one_pair`], [`super::round_of_hands`] and [`super::super::operator`] compare.

use farmwatch_shared::usage::{Slots, Usage};

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

/// Two laptops that one person may work on in turn.
///
/// Null model: two people who work the same hours are active in the same five minutes as chance has it: on each day,
/// the product of their shares of the time that either worked, in stretches of half an hour (assumption). The
/// likelihood of so few common windows falls as e^−(expected − seen)/6. People in shifts change once a day and do not
/// take turns.
#[derive(Default)]
pub struct Turns {
    /// Days on which both were worked on.
    pub days: usize,
    /// Windows in which both were.
    pub together: usize,
    /// As many as chance would give.
    pub expected: f64,
    /// How often work went over from one to the other.
    pub turns: f64,
}

impl Turns {
    /// Of two laptops' days.
    pub fn of(a: &Usage, b: &Usage) -> Self {
        let mut pair = Self::default();
        for (mine, theirs) in a.days().iter().filter_map(|day| Some((&day.work, &b.day(day.number)?.work))) {
            if mine.len() < WORKED || theirs.len() < WORKED {
                continue;
            }
            let ends = |all: &Slots| Some((all.iter().next()?, all.iter().next_back()?));
            let (Some((from, to)), Some((since, until))) = (ends(mine), ends(theirs)) else { continue };
            let span = (to.max(until) - from.min(since) + 1) as f64;
            pair.days += 1;
            pair.together += mine.in_common(theirs);
            pair.expected += mine.len() as f64 * theirs.len() as f64 / span;
            pair.turns += turns(mine, theirs) as f64;
        }
        pair
    }

    /// In turns, on several days, and hardly ever together.
    pub fn speaks(&self) -> bool {
        self.days >= DAYS
            && (self.together as f64) < OVERLAP * self.expected
            && self.turns >= TURNS * self.days as f64
    }

    /// ln of how unlikely so few common windows are for two people.
    pub fn nats(&self) -> f64 {
        (self.expected - self.together as f64) / STRETCH
    }
}

/// How often work went over from one to the other and back.
fn turns(mine: &Slots, theirs: &Slots) -> usize {
    let mut all: Vec<(usize, bool)> = mine.iter().map(|at| (at, true)).collect();
    all.extend(theirs.iter().map(|at| (at, false)));
    all.sort_unstable();
    all.windows(2).filter(|two| two[0].1 != two[1].1).count()
}
