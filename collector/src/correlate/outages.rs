//! Co-outage: mains or network that went and came back in the same seconds at several laptops.
//!
//! An outage is an anchor like any other: a value that is rare in the fleet. Its value is what went, when, and for how
//! long; each end is a slot of some seconds, and each outage is written into two slots that overlap by half, so that two
//! laptops whose clocks differ by a second or two share one of them.
//!
//! Null model: a cut takes a street, a district or a provider's region, and all of our laptops there share it. Of what rate
//! such cuts come is not known by region, so none is taken for a draw from a Poisson process: what one says falls by ln n
//! with the n laptops that show it, as with every anchor, and one alone joins nobody. Two that the same few share are, for
//! laptops of different streets, an accident squared. Assumption: K of [`super::same_place`]; a region that has several cuts
//! in two weeks and few of our laptops is its weak side.

use std::collections::BTreeSet;

use farmwatch_shared::facts::{Transition, TransitionKind};
use jiff::Timestamp;

use crate::store::{Anchor, AnchorKind};

/// Seconds of a slot.
const SLOT: i64 = 8;
/// Longer ones are nights and weekends, not outages.
const LONGEST: i64 = 12 * 3600;
/// The latest are kept.
const MOST: usize = 6;

/// Outages as anchors, of what a laptop has told of two weeks.
///
/// A laptop that slept, moved its lid or came to another network meanwhile was carried, and says nothing.
pub fn anchors(transitions: &[Transition]) -> BTreeSet<Anchor> {
    use TransitionKind::{MainsLost, MainsRegained, NetworkLost, NetworkRegained};
    let mut all = Vec::new();
    for (index, lost) in transitions.iter().enumerate() {
        let (what, back) = match lost.kind {
            MainsLost => ("mains", MainsRegained),
            NetworkLost => ("network", NetworkRegained),
            _ => continue,
        };
        let after = &transitions[index + 1..];
        let Some(regained) = after.iter().position(|t| t.kind == back) else { continue };
        let (from, until) = (lost.at.as_second(), after[regained].at.as_second());
        if until - from <= LONGEST && !after[..regained].iter().any(was_handled) {
            all.push((what, from, until));
        }
    }
    let latest = all.len().saturating_sub(MOST);
    all[latest..].iter().flat_map(|(what, from, until)| slots(what, *from, *until)).collect()
}

fn was_handled(transition: &Transition) -> bool {
    use TransitionKind::{Booted, LidClosed, LidOpened, NetworkChanged, Resumed, Suspended};
    [Booted, LidClosed, LidOpened, NetworkChanged, Resumed, Suspended].contains(&transition.kind)
}

/// Both slots of its beginning, each with the length of the outage between two powers of two.
fn slots(what: &str, from: i64, until: i64) -> impl Iterator<Item = Anchor> {
    let long = (until - from).max(1).ilog2();
    [0, SLOT / 2].into_iter().filter_map(move |shift| {
        let begins = Timestamp::from_second((from + shift).div_euclid(SLOT) * SLOT - shift).ok()?;
        let value = format!("{what} {begins} for {} to {} s", 1_i64 << long, 2_i64 << long);
        Some(Anchor { kind: AnchorKind::Outage, value })
    })
}

/// About when the outage of an anchor began, in seconds since 1970.
pub fn began(anchor: &Anchor) -> Option<i64> {
    anchor.value.split(' ').nth(1)?.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(all: &[(i64, TransitionKind)]) -> BTreeSet<Anchor> {
        let at = |second: i64| Timestamp::from_second(1_790_000_000 + second).unwrap();
        let all: Vec<Transition> =
            all.iter().map(|(second, kind)| Transition { at: at(*second), kind: *kind }).collect();
        anchors(&all)
    }

    fn cut(from: i64, until: i64) -> BTreeSet<Anchor> {
        told(&[(from, TransitionKind::MainsLost), (until, TransitionKind::MainsRegained)])
    }

    #[test]
    fn a_power_cut_is_shared_by_clocks_that_differ_by_a_second() {
        for second in 0..16 {
            assert!(
                cut(second, second + 90).intersection(&cut(second + 1, second + 91)).count() > 0,
                "{second}"
            );
            assert_eq!(cut(second, second + 90).intersection(&cut(second + 20, second + 110)).count(), 0);
        }
    }

    #[test]
    fn an_outage_of_another_length_and_a_laptop_that_was_carried_say_nothing() {
        assert_eq!(cut(0, 90).intersection(&cut(0, 900)).count(), 0);
        let carried = [
            (0, TransitionKind::MainsLost),
            (5, TransitionKind::LidClosed),
            (90, TransitionKind::MainsRegained),
        ];
        assert_eq!(told(&carried), BTreeSet::new());
        assert_eq!(told(&[(0, TransitionKind::MainsLost)]), BTreeSet::new());
    }

    #[test]
    fn a_cable_that_falls_out_all_day_is_a_few_outages() {
        let mut all = Vec::new();
        for n in 0..500 {
            all.extend([
                (n * 100, TransitionKind::NetworkLost),
                (n * 100 + 30, TransitionKind::NetworkRegained),
            ]);
        }
        assert!(told(&all).len() <= 2 * MOST);
    }
}
