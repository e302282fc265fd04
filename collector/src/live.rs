//! A value that can be replaced while others work with it.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Deref;
use std::sync::OnceLock;

/// Reads as the newest value. Those before stay in memory until the collector ends, so that whoever works with one may
/// go on: it is for what a person replaces now and then, and small.
pub struct Live<T>(Node<T>);

struct Node<T> {
    value: T,
    fingerprint: u64,
    next: OnceLock<Box<Node<T>>>,
}

impl<T: fmt::Debug> Live<T> {
    /// From now on it reads as this.
    pub fn replace(&self, value: T) {
        let mut node = Box::new(Node::new(value));
        let mut last = &self.0;
        // Where another thread replaced it meanwhile, this comes after.
        while let Err(back) = last.next.set(node) {
            node = back;
            last = last.last();
        }
    }

    /// The same for the same value, also of another process.
    pub fn fingerprint(&self) -> u64 {
        self.0.last().fingerprint
    }
}

impl<T: fmt::Debug> Node<T> {
    fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        format!("{value:?}").hash(&mut hasher);
        Self { value, fingerprint: hasher.finish(), next: OnceLock::new() }
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

impl<T: fmt::Debug> From<T> for Live<T> {
    fn from(value: T) -> Self {
        Self(Node::new(value))
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
        let first = live.fingerprint();
        std::thread::scope(|scope| {
            (0..8).for_each(|_| drop(scope.spawn(|| live.replace("two".to_owned()))));
        });
        live.replace("three".to_owned());
        assert_eq!((before, live.as_str()), ("one", "three"));
        assert_ne!(live.fingerprint(), first);
        assert_eq!(live.fingerprint(), Live::from("three".to_owned()).fingerprint());
    }
}
