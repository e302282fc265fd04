//! When a laptop was worked on: what [`super::one_pair`], [`super::round_of_hands`] and [`super::super::operator`] compare.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::facts::{SourceKind, Window};

/// A window with fewer active seconds is a jiggler's, or a nudge.
const WORK_SECONDS: u16 = 30;
/// A window with fewer seconds of the laptop's own keyboard is a brush.
const TOUCH_SECONDS: u16 = 5;

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

/// Five-minute windows of one day, counted from 1970.
pub type Windows = BTreeSet<i64>;

/// A laptop's days.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    /// Windows in which somebody worked, by day.
    pub work: BTreeMap<i64, Windows>,
    /// Windows with input of the laptop's own keyboard or touchpad, by day.
    pub own: BTreeMap<i64, Windows>,
}

impl Rhythm {
    /// From activity windows.
    pub fn of(windows: &[Window]) -> Self {
        let mut rhythm = Self::default();
        for window in windows {
            let (day, number) =
                (window.start.as_second().div_euclid(86_400), window.start.as_second() / Window::SECONDS);
            if window.active_seconds() >= WORK_SECONDS {
                rhythm.work.entry(day).or_default().insert(number);
            }
            if window.sources.get(&SourceKind::BuiltIn).is_some_and(|own| own.active_seconds >= TOUCH_SECONDS)
            {
                rhythm.own.entry(day).or_default().insert(number);
            }
        }
        rhythm
    }
}

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
    pub fn of(a: &Rhythm, b: &Rhythm) -> Self {
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
fn turns(mine: &Windows, theirs: &Windows) -> usize {
    let mut all: Vec<(i64, bool)> = mine.iter().map(|at| (*at, true)).collect();
    all.extend(theirs.iter().map(|at| (*at, false)));
    all.sort_unstable();
    all.windows(2).filter(|two| two[0].1 != two[1].1).count()
}
