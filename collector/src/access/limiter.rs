//! How often something may happen, by whom; bounded in memory whoever asks.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Most keys that a limiter remembers. Past that, and while all of them are fresh, new ones are refused.
const MOST_KEYS: usize = 20_000;

/// So many times in so long, by key.
pub struct Limiter<K> {
    times: u32,
    within: SignedDuration,
    seen: Mutex<HashMap<K, Span>>,
}

struct Span {
    since: Timestamp,
    times: u32,
}

impl<K: Eq + Hash> Limiter<K> {
    /// At most `times` within that time.
    pub fn new(times: u32, within: SignedDuration) -> Self {
        Self { times, within, seen: Mutex::default() }
    }

    /// Whether the key has had its times.
    pub fn is_spent(&self, key: &K, now: Timestamp) -> bool {
        let seen = self.lock();
        match seen.get(key) {
            Some(span) => self.is_fresh(span, now) && span.times >= self.times,
            None => seen.len() >= MOST_KEYS && seen.values().all(|span| self.is_fresh(span, now)),
        }
    }

    /// Takes one time; false if the key has had them all.
    pub fn take(&self, key: K, now: Timestamp) -> bool {
        let mut seen = self.lock();
        if seen.len() >= MOST_KEYS && !seen.contains_key(&key) {
            seen.retain(|_, span| self.is_fresh(span, now));
            if seen.len() >= MOST_KEYS {
                return false;
            }
        }
        let span = seen.entry(key).or_insert(Span { since: now, times: 0 });
        if !self.is_fresh(span, now) {
            *span = Span { since: now, times: 0 };
        }
        span.times = span.times.saturating_add(1);
        span.times <= self.times
    }

    fn is_fresh(&self, span: &Span, now: Timestamp) -> bool {
        // A clock that went back makes spans fresh for no longer than they would have been.
        now.duration_since(span.since).abs() < self.within
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Span>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn so_many_times_in_so_long_each() {
        let limiter = Limiter::new(2, SignedDuration::from_secs(60));
        assert!(limiter.take("a", at(0)) && limiter.take("a", at(1)));
        assert!(limiter.is_spent(&"a", at(2)) && !limiter.take("a", at(2)));
        assert!(!limiter.is_spent(&"b", at(2)) && limiter.take("b", at(2)));
        assert!(!limiter.is_spent(&"a", at(60)) && limiter.take("a", at(60)));
    }

    #[test]
    fn memory_is_bounded_and_frees_itself() {
        let limiter = Limiter::new(1, SignedDuration::from_secs(60));
        for key in 0..MOST_KEYS {
            assert!(limiter.take(key, at(0)));
        }
        assert!(limiter.is_spent(&usize::MAX, at(1)) && !limiter.take(usize::MAX, at(1)));
        assert!(!limiter.is_spent(&usize::MAX, at(61)) && limiter.take(usize::MAX, at(61)));
        assert_eq!(limiter.lock().len(), 1);
    }
}
