//! What is known of the isolation that is or was in force.

use std::path::{Path, PathBuf};
use std::time::Duration;

use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::Order;
use farmwatch_shared::sealed::Envelope;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Way;
use crate::clock::Now;
use crate::files::{self, Readers};

/// The record, as it stands in `isolation.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// How far it is.
    pub phase: Phase,
    /// The order that led here.
    pub order: OrderId,
    /// Whom the order names.
    pub device: DeviceId,
    /// The order as it was signed.
    pub envelope: Envelope,
    /// Why, as the order says.
    pub reason: String,
    /// When it ends by itself, by the wall clock.
    pub until: Timestamp,
    /// What stays open.
    pub way: Way,
    /// Seconds left when the record was last rebased …
    left: u64,
    /// … when that ends by the laptop's own clock, be it right or wrong …
    ends: Timestamp,
    /// … in this run of the operating system …
    boot: String,
    /// … this many seconds after its start.
    at: u64,
}

/// Phases of an isolation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// The order is taken; the rules are going into force.
    Applying,
    /// The rules are in force and the collector can be reached.
    Isolated,
    /// It is over.
    Released,
    /// It could not be done.
    Failed {
        /// Why.
        why: String,
    },
}

impl Record {
    /// A record of an order that was just taken.
    ///
    /// `collector_time` is now by the collector's clock. The isolation never lasts longer than from the order's issue
    /// to its end: a clock that is a year behind adds no year.
    pub fn new(
        (order, reason, until): (&Order, &str, Timestamp),
        device: DeviceId,
        envelope: Envelope,
        way: Way,
        (now, collector_time): (Now, Timestamp),
        boot: &str,
    ) -> Self {
        let lasts = until.duration_since(collector_time).min(until.duration_since(order.issued_at));
        let left = u64::try_from(lasts.as_secs()).unwrap_or(0);
        let mut record = Self {
            phase: Phase::Applying,
            order: order.id.clone(),
            device,
            envelope,
            reason: reason.to_owned(),
            until,
            way,
            left,
            ends: until,
            boot: boot.to_owned(),
            at: now.mono.since_boot().as_secs(),
        };
        record.rebase(now, boot);
        record
    }

    /// Its rules should be in force.
    pub fn is_in_force(&self) -> bool {
        matches!(self.phase, Phase::Applying | Phase::Isolated)
    }

    /// How long it still lasts.
    ///
    /// While the operating system runs, by the clock that nobody can set: a wall clock set a year ahead
    /// releases nothing. Over a restart only the wall clock tells how long the laptop was off, so it counts
    /// then, and can never make the isolation longer than it was.
    pub fn remaining(&self, now: Now, boot: &str) -> Duration {
        let left = Duration::from_secs(self.left);
        if boot == self.boot {
            return left.saturating_sub(now.mono.since_boot().saturating_sub(Duration::from_secs(self.at)));
        }
        let by_wall = u64::try_from(self.ends.duration_since(now.wall).as_secs()).unwrap_or(0);
        left.min(Duration::from_secs(by_wall))
    }

    /// Counts from here on.
    pub fn rebase(&mut self, now: Now, boot: &str) {
        self.left = self.remaining(now, boot).as_secs();
        let span = SignedDuration::from_secs(i64::try_from(self.left).unwrap_or(i64::MAX));
        self.ends = now.wall.checked_add(span).unwrap_or(Timestamp::MAX);
        boot.clone_into(&mut self.boot);
        self.at = now.mono.since_boot().as_secs();
    }

    /// Reads it; `None` if the laptop was never isolated.
    pub fn read(state: &Path) -> anyhow::Result<Option<Self>> {
        files::read_json(&path(state))
    }

    /// Writes it.
    pub fn write(&self, state: &Path) -> anyhow::Result<()> {
        files::write_json(&path(state), self, Readers::Agent)
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("isolation.json")
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::order::OrderKind;

    use super::*;
    use crate::clock::Mono;

    const HOUR: u64 = 3600;

    fn now(mono: u64, wall: u64) -> Now {
        let wall = Timestamp::from_second(i64::try_from(wall).unwrap()).unwrap();
        Now { mono: Mono::new(Duration::from_secs(mono)), wall }
    }

    fn record() -> Record {
        taken(now(100, 0), 0)
    }

    /// An order of a day that was issued at 0 and taken at `now`, which is `by_collector` by the collector's clock.
    fn taken(now: Now, by_collector: i64) -> Record {
        let until = Timestamp::from_second(24 * 3600).unwrap();
        let kind = OrderKind::Isolate { until, reason: String::new() };
        let order = Order { id: OrderId::new(1, 1), issued_at: Timestamp::UNIX_EPOCH, kind };
        let envelope = Envelope { payload: String::new(), signature: String::new() };
        let times = (now, Timestamp::from_second(by_collector).unwrap());
        Record::new((&order, "", until), DeviceId::new(1, 1), envelope, Way::default(), times, "first")
    }

    fn hours(record: &Record, now: Now, boot: &str) -> u64 {
        record.remaining(now, boot).as_secs() / HOUR
    }

    #[test]
    fn a_clock_set_a_year_ahead_or_back_changes_nothing_while_the_laptop_runs() {
        let later = 100 + 4 * HOUR;
        assert_eq!(hours(&record(), now(later, 365 * 24 * HOUR), "first"), 20);
        assert_eq!(hours(&record(), now(later, 0), "first"), 20);
        assert_eq!(hours(&record(), now(100 + 25 * HOUR, 0), "first"), 0);
    }

    #[test]
    fn a_clock_that_is_wrong_when_the_order_comes_makes_the_isolation_no_longer_and_no_shorter() {
        let year = 365 * 24 * HOUR;
        let ahead = taken(now(100, year), 4 * 3600);
        assert_eq!(hours(&ahead, now(100, year), "first"), 20);
        assert_eq!(
            hours(&ahead, now(10, year + HOUR), "second"),
            19,
            "over a restart with the same wrong clock"
        );
        let unknown = taken(now(100, 0), -365 * 24 * 3600);
        assert_eq!(hours(&unknown, now(100, 0), "first"), 24);
    }

    #[test]
    fn over_a_restart_the_wall_clock_counts_and_never_makes_it_longer() {
        let mut record = record();
        record.rebase(now(100 + 4 * HOUR, 4 * HOUR), "first");
        assert_eq!(hours(&record, now(10, 10 * HOUR), "second"), 14);
        assert_eq!(hours(&record, now(10, 0), "second"), 20);
        record.rebase(now(10, 10 * HOUR), "second");
        assert_eq!(hours(&record, now(10 + HOUR, 99 * HOUR), "second"), 13);
    }
}
