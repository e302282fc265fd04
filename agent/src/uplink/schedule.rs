//! When to send and when to wait: pure, on a clock that nobody can set.

use std::time::Duration;

use crate::clock::Mono;

/// First pause after a failure; it doubles up to [`LONGEST_PAUSE`], and of each a random part is taken.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// Longest pause that a collector may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);
/// A heartbeat's time varies by this share of it, so that a fleet does not beat as one.
const JITTER: f64 = 0.2;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send what waits in the spool.
    Send,
    /// Make a heartbeat.
    Heartbeat,
    /// Nothing before this moment.
    Wait(Mono),
}

/// Decides when the agent talks.
#[derive(Debug)]
pub struct Schedule {
    heartbeat: Duration,
    next_heartbeat: Mono,
    failures: u32,
    not_before: Mono,
    in_flight: bool,
    /// The last failure was the network's, not a collector's that asked for a pause.
    may_hurry: bool,
}

impl Schedule {
    /// A schedule whose first heartbeat is one span away. `random` is from 0 up to 1.
    pub fn new(heartbeat: Duration, now: Mono, random: f64) -> Self {
        let mut schedule = Self {
            heartbeat,
            next_heartbeat: now,
            failures: 0,
            not_before: now,
            in_flight: false,
            may_hurry: false,
        };
        schedule.plan_heartbeat(now, random);
        schedule
    }

    /// Policy changed the span between heartbeats.
    pub fn set_heartbeat(&mut self, heartbeat: Duration, now: Mono, random: f64) {
        if heartbeat != self.heartbeat {
            self.heartbeat = heartbeat;
            self.plan_heartbeat(now, random);
        }
    }

    /// What is to be done now. While reports wait, there are no heartbeats: the reports are signs of life
    /// enough once they go, and weeks offline fill no disk.
    pub fn due(&self, now: Mono, spool_is_empty: bool) -> Due {
        if self.in_flight {
            return Due::Wait(now + LONGEST_PAUSE);
        }
        if !spool_is_empty {
            return if now >= self.not_before { Due::Send } else { Due::Wait(self.not_before) };
        }
        if now >= self.next_heartbeat { Due::Heartbeat } else { Due::Wait(self.next_heartbeat) }
    }

    /// Reports are under way.
    pub fn sending(&mut self) {
        self.in_flight = true;
    }

    /// The collector has them.
    pub fn sent(&mut self, now: Mono, random: f64) {
        self.in_flight = false;
        self.failures = 0;
        self.not_before = now;
        self.plan_heartbeat(now, random);
    }

    /// They did not arrive, or were refused. Gives the pause until the next attempt.
    pub fn failed(&mut self, now: Mono, retry_after: Option<Duration>, random: f64) -> Duration {
        self.in_flight = false;
        let pause = pause(self.failures, retry_after, random);
        self.may_hurry = retry_after.is_none();
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + pause;
        pause
    }

    /// The network is back, or the collector answered on another connection: the next attempt may go at once.
    pub fn hurry(&mut self, now: Mono) {
        if self.may_hurry {
            self.may_hurry = false;
            self.not_before = now;
        }
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn plan_heartbeat(&mut self, now: Mono, random: f64) {
        let factor = 1.0 - JITTER + 2.0 * JITTER * random;
        self.next_heartbeat = now + self.heartbeat.mul_f64(factor);
    }
}

/// The pause after `failures` earlier failures in a row: full jitter, and never before what the collector
/// asked for, spread over a quarter more so that a fleet does not come back as one.
pub fn pause(failures: u32, retry_after: Option<Duration>, random: f64) -> Duration {
    let most = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    let own = most.mul_f64(random).max(Duration::from_millis(100));
    match retry_after {
        Some(asked) => asked.min(LONGEST_RETRY_AFTER).mul_f64(1.0 + random / 4.0).max(own),
        None => own,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEARTBEAT: Duration = Duration::from_mins(5);

    fn at(seconds: u64) -> Mono {
        Mono::new(Duration::from_secs(seconds))
    }

    #[test]
    fn a_quiet_laptop_beats_every_300_seconds_give_or_take_a_fifth() {
        for (random, seconds) in [(0.0, 240), (0.5, 300), (0.999_999, 359)] {
            let schedule = Schedule::new(HEARTBEAT, at(0), random);
            assert!(matches!(schedule.due(at(seconds - 1), true), Due::Wait(_)));
            assert_eq!(schedule.due(at(seconds + 1), true), Due::Heartbeat);
        }
    }

    #[test]
    fn a_change_goes_at_once() {
        assert_eq!(Schedule::new(HEARTBEAT, at(0), 0.5).due(at(0), false), Due::Send);
    }

    #[test]
    fn a_month_offline_makes_some_ten_thousand_attempts_and_no_heartbeat() {
        let mut schedule = Schedule::new(HEARTBEAT, at(0), 0.5);
        let (mut now, mut attempts) = (at(0), 0);
        while now < at(30 * 86_400) {
            match schedule.due(now, false) {
                Due::Send => {
                    schedule.sending();
                    schedule.failed(now, None, 0.5);
                    attempts += 1;
                }
                Due::Wait(until) => now = until,
                Due::Heartbeat => panic!("a heartbeat while reports wait"),
            }
        }
        assert!((10_000..20_000).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_network_that_is_back_ends_our_own_pause_and_never_the_collectors() {
        let mut schedule = Schedule::new(HEARTBEAT, at(0), 0.5);
        schedule.failed(at(0), None, 0.9);
        schedule.hurry(at(0));
        assert_eq!(schedule.due(at(0), false), Due::Send);
        schedule.failed(at(0), Some(Duration::from_secs(30)), 0.5);
        schedule.hurry(at(1));
        assert!(matches!(schedule.due(at(1), false), Due::Wait(_)));
    }

    #[test]
    fn the_collectors_wish_for_a_pause_is_honoured_and_bounded() {
        assert!(pause(0, Some(Duration::from_secs(30)), 0.0) >= Duration::from_secs(30));
        assert!(pause(0, Some(Duration::from_secs(1 << 40)), 1.0) <= Duration::from_mins(75));
    }

    proptest! {
        #[test]
        fn pauses_are_bounded(failures in any::<u32>(), random in 0.0..1.0f64) {
            prop_assert!(pause(failures, None, random) <= LONGEST_PAUSE);
            prop_assert!(pause(failures, None, random) >= Duration::from_millis(100));
        }
    }
}
