//! How many of the system's messages are taken: a bucket that fills steadily. Pure.

use std::time::Instant;

/// What may be taken now.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    filled: Instant,
    per_second: u32,
    at_once: u32,
}

impl Budget {
    /// A full one: so many per second over time, so many at once after a quiet time.
    pub(super) fn new(now: Instant, per_second: u32, at_once: u32) -> Self {
        Self { left: at_once, filled: now, per_second, at_once }
    }

    /// Adds what time has brought.
    pub(super) fn refill(&mut self, now: Instant) {
        let millis = now.saturating_duration_since(self.filled).as_millis();
        let more = millis.saturating_mul(self.per_second.into()) / 1000;
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(self.at_once);
            self.filled = now;
        }
    }

    /// Takes one, if there is any.
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
    fn a_storm_is_listened_to_so_often_in_a_second_and_no_more() {
        let start = Instant::now();
        for (per_second, at_once) in [(2000, 2000), (500, 1000)] {
            let mut budget = Budget::new(start, per_second, at_once);
            let mut taken = 0;
            for round in 0..=40u32 {
                budget.refill(start + Duration::from_millis(50) * round);
                while budget.take() {
                    taken += 1;
                }
            }
            let allowed = at_once + per_second * 2;
            assert!((allowed - 80..=allowed).contains(&taken), "{taken} in two seconds");
        }
    }
}
