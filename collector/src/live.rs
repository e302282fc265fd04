//! A value that can be replaced while others work with it.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

/// Reads as the newest value. Those before stay in memory until the collector ends, so that whoever works with one may
/// go on: it is for what a person replaces now and then, and small.
pub struct Live<T>(Node<T>);

struct Node<T> {
    value: T,
    next: OnceLock<Box<Node<T>>>,
}

impl<T> Live<T> {
    /// From now on it reads as this.
    pub fn replace(&self, value: T) {
        let mut node = Box::new(Node { value, next: OnceLock::new() });
        let mut last = &self.0;
        // Where another thread replaced it meanwhile, this comes after.
        while let Err(back) = last.next.set(node) {
            node = back;
            last = last.last();
        }
    }

    /// How often it was replaced.
    pub fn generation(&self) -> u64 {
        let nodes = std::iter::successors(Some(&self.0), |node| node.next.get().map(Box::as_ref));
        nodes.skip(1).count() as u64
    }
}

impl<T> Node<T> {
    fn last(&self) -> &Self {
        let mut node = self;
        while let Some(next) = node.next.get() {
            node = next;
        }
        node
    }
}

impl<T> Deref for Live<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.last().value
    }
}

impl<T> From<T> for Live<T> {
    fn from(value: T) -> Self {
        Self(Node { value, next: OnceLock::new() })
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_the_newest_and_what_was_read_before_stays_good() {
        let live = Live::from("one".to_owned());
        let before: &str = &live;
        assert_eq!(live.generation(), 0);
        std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| live.replace("two".to_owned()))));
        });
        live.replace("three".to_owned());
        assert_eq!((before, live.as_str(), live.generation()), ("one", "three", 9));
    }
}
