//! Which of the processes that started together are looked at. Pure.

use std::collections::BTreeSet;

use super::starts::Heard;

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

#[cfg(test)]
mod tests {
    use super::*;

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
