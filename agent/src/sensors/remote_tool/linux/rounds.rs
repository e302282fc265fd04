//! Which of the processes that started together are looked at, and how many in a second. Pure.

use std::collections::BTreeSet;
use std::time::Instant;

use super::starts::Heard;

/// Messages of the kernel's that are taken per second over time, two for a common start …
const PER_SECOND: u32 = 2000;
/// … and at once after a quiet time.
const AT_ONCE: u32 = 2000;

/// Starts that are taken together.
#[derive(Debug, Default)]
pub(super) struct Round(Vec<Heard>);

impl Round {
    /// Adds what was heard, in order.
    pub(super) fn add(&mut self, heard: Heard) {
        self.0.push(heard);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at what started and is still there: `look` says whether it is a tool's, or `None` if it is gone.
    /// Answers the tools' processes.
    ///
    /// A server that goes to the background runs on in a child that starts no program. So where one that started is
    /// gone, its children of the same round are looked at in its place.
    pub(super) fn look(&self, mut look: impl FnMut(u32) -> Option<bool>) -> Vec<u32> {
        let (mut seen, mut gone, mut hits) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for heard in &self.0 {
            let pid = match *heard {
                Heard::Start(pid) => pid,
                Heard::Fork { parent, child } if gone.contains(&parent) => child,
                _ => continue,
            };
            if !seen.insert(pid) {
                continue;
            }
            match look(pid) {
                Some(true) => hits.push(pid),
                Some(false) => {}
                None => {
                    gone.insert(pid);
                }
            }
        }
        hits
    }
}

/// How many messages may be taken: a bucket that fills steadily.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    filled: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: AT_ONCE, filled: now }
    }

    pub(super) fn refill(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.filled).as_millis();
        let more = u32::try_from(millis).unwrap_or(u32::MAX).saturating_mul(PER_SECOND / 1000);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(AT_ONCE);
            self.filled = now;
        }
    }

    pub(super) fn take(&mut self) -> bool {
        let any = self.left > 0;
        self.left = self.left.saturating_sub(1);
        any
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_storm_is_listened_to_two_thousand_times_a_second_and_no_more() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let mut taken = 0;
        for round in 0..=40u32 {
            budget.refill(start + Duration::from_millis(50) * round);
            while budget.take() {
                taken += 1;
            }
        }
        let allowed = AT_ONCE + PER_SECOND * 2;
        assert!((allowed - 80..=allowed).contains(&taken), "{taken} in two seconds");
    }

    fn looked(heard: &[Heard], gone: &[u32], tools: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut round = Round::default();
        heard.iter().for_each(|heard| round.add(*heard));
        let mut looked = Vec::new();
        let hits = round.look(|pid| {
            looked.push(pid);
            (!gone.contains(&pid)).then(|| tools.contains(&pid))
        });
        (looked, hits)
    }

    #[test]
    fn a_server_that_went_to_the_background_is_found_by_its_grandchild() {
        let fork = |parent, child| Heard::Fork { parent, child };
        let heard = [fork(1, 10), Heard::Start(10), fork(10, 11), fork(11, 12), fork(7, 70)];
        let (looked, hits) = looked(&heard, &[10, 11], &[12, 70]);
        assert_eq!((looked, hits), (vec![10, 11, 12], vec![12]));
    }

    #[test]
    fn a_program_that_is_there_is_looked_at_once_and_its_children_are_not() {
        let heard = [Heard::Start(10), Heard::Fork { parent: 10, child: 11 }, Heard::Start(10)];
        assert_eq!(looked(&heard, &[], &[10]), (vec![10], vec![10]));
    }
}
