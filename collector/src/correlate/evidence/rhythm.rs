//! Laptops compared by when they were worked on: what [`super::one_pair`], [`super::round_of_hands`] and [`super::super::operator`] compare.

use farmwatch_shared::usage::{Slots, Usage};

/// Windows of work that each of two needs on a day for the day to count: an hour.
const WORKED: usize = 12;
/// Days that count before anything is said.
const DAYS: usize = 3;
/// Turns from one to the other on a day: two people in shifts change once, and two who work from elsewhere before and after
/// others' hours two or three times, every day in the same way, which is one habit however many days show it. Assumption.
const TURNS: f64 = 4.0;
/// One person at two laptops hardly ever uses both for longer than a turn takes.
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
            let (together, turns) = compared(mine, theirs);
            pair.together += together;
            pair.expected += mine.len() as f64 * theirs.len() as f64 / span;
            pair.turns += turns as f64;
        }
        pair
    }

    /// One of two was worked on for days enough to be compared.
    pub fn may_speak(usage: &Usage) -> bool {
        usage.days().iter().filter(|day| day.work.len() >= WORKED).count() >= DAYS
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

/// In how many windows both were worked on, and how often work went over from one to the other. Where it does so, both are
/// used within the same five minutes: such a window is a turn and no company.
fn compared(mine: &Slots, theirs: &Slots) -> (usize, usize) {
    let who = |slot: usize| (mine.contains(slot), theirs.contains(slot));
    let all: Vec<(bool, bool)> = (0..Slots::DAY).map(who).filter(|(mine, theirs)| *mine || *theirs).collect();
    let both = |who: &(bool, bool)| who.0 && who.1;
    let goes_over = all
        .windows(3)
        .filter(|three| both(&three[1]) && !both(&three[0]) && !both(&three[2]) && three[0] != three[2]);
    let together = all.iter().filter(|who| both(who)).count() - goes_over.count();
    let alone: Vec<&(bool, bool)> = all.iter().filter(|who| !both(who)).collect();
    (together, alone.windows(2).filter(|two| two[0] != two[1]).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(of: impl Fn(usize) -> bool) -> Slots {
        let mut all = Slots::default();
        (0..Slots::DAY).filter(|slot| of(*slot)).for_each(|slot| assert!(all.insert(slot)));
        all
    }

    #[test]
    fn a_hand_that_goes_over_within_five_minutes_is_a_turn_and_colleagues_are_company() {
        let (a, b) = (slots(|n| n <= 12 || (24..=36).contains(&n)), slots(|n| (12..=24).contains(&n)));
        assert_eq!(compared(&a, &b), (0, 2));
        assert_eq!(compared(&a, &a), (26, 0));
        let (c, d) = (slots(|n| n % 2 == 0), slots(|n| n % 3 == 0));
        assert!(compared(&c, &d).0 >= 20);
    }
}
