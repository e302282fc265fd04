//! What a report must be beyond being readable, and what its times come to.

use farmwatch_shared::facts::Window;
use farmwatch_shared::report::Report;
use farmwatch_shared::wire::MAX_AHEAD_SECONDS;
use jiff::{SignedDuration, Timestamp};

/// Longest `boot` and `machine` that are taken: they are eight hex digits today.
const MAX_NAME: usize = 64;

/// Why a report can never be taken, if so.
pub fn fault(report: &Report) -> Option<String> {
    if report.v == 0 {
        return Some("its version is 0; versions count from 1".into());
    }
    if report.seq == 0 || i64::try_from(report.seq).is_err() {
        return Some(format!("its number is {}; numbers count from 1", report.seq));
    }
    let hex = |text: &str| text.len() <= MAX_NAME && text.bytes().all(|b| b.is_ascii_hexdigit());
    if report.boot.is_empty() || !hex(&report.boot) {
        return Some("its `boot` is not hex digits".into());
    }
    if !hex(&report.machine) {
        return Some("its `machine` is not hex digits".into());
    }
    None
}

/// Moves what a clock ahead of ours has dated into our time.
///
/// Where the laptop's clock is ahead by more than [`MAX_AHEAD_SECONDS`], its windows and transitions are put
/// back by as much, so that the report was made when it arrived; what would still lie ahead happened on
/// arrival. `at` stays as the laptop has it: the store sees the skew from it. A clock behind ours looks like
/// a report that waited in a spool, and is believed.
pub fn settle_times(report: &mut Report, now: Timestamp) {
    let bound = SignedDuration::from_secs(MAX_AHEAD_SECONDS);
    let ahead = report.at.duration_since(now);
    let shift = if ahead > bound { ahead } else { SignedDuration::ZERO };
    let settle = |at: Timestamp| {
        let moved = at.checked_sub(shift).unwrap_or(now);
        let settled = if moved.duration_since(now) > bound { now } else { moved };
        // What was told to the second stays so.
        if settled == at { at } else { Timestamp::from_second(settled.as_second()).unwrap_or(settled) }
    };
    for window in &mut report.windows {
        window.start = Window::start_of(settle(window.start));
    }
    for transition in &mut report.transitions {
        transition.at = settle(transition.at);
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::{Transition, TransitionKind};
    use farmwatch_shared::state::State;

    use super::super::tests::{at, report};
    use super::*;

    fn transition(text: &str) -> Transition {
        Transition { at: at(text), kind: TransitionKind::MainsLost }
    }

    #[test]
    fn a_clock_a_year_ahead_is_put_right() {
        let mut ahead = report(1, &State::default(), &State::default());
        ahead.at = at("2027-11-24T06:00:00Z");
        ahead.transitions = vec![transition("2027-11-24T05:59:00Z"), transition("9000-01-01T00:00:00Z")];
        settle_times(&mut ahead, at("2026-11-24T06:00:00Z"));
        assert_eq!(
            ahead.transitions,
            [transition("2026-11-24T05:59:00Z"), transition("2026-11-24T06:00:00Z")]
        );
        assert_eq!(ahead.at, at("2027-11-24T06:00:00Z"));
    }

    #[test]
    fn a_spool_of_last_week_and_a_clock_slightly_ahead_are_believed() {
        let mut late = report(1, &State::default(), &State::default());
        late.at = at("2026-11-24T06:05:00Z");
        late.transitions = vec![transition("2026-11-17T06:00:00Z"), transition("2026-11-24T06:05:00Z")];
        let before = late.clone();
        settle_times(&mut late, at("2026-11-24T06:00:00Z"));
        assert_eq!(late, before);
    }

    #[test]
    fn numbers_and_names_are_checked() {
        let good = report(1, &State::default(), &State::default());
        assert_eq!(fault(&good), None);
        let faults = [
            Report { v: 0, ..good.clone() },
            Report { seq: 0, ..good.clone() },
            Report { seq: u64::MAX, ..good.clone() },
            Report { boot: String::new(), ..good.clone() },
            Report { boot: "a".repeat(65), ..good.clone() },
            Report { machine: "<script>".into(), ..good },
        ];
        for bad in faults {
            assert!(fault(&bad).is_some(), "{bad:?}");
        }
    }
}
