//! Retention, by a clock that may be wrong: what it deletes does not come back.
//!
//! A clock that is suddenly days ahead is either right, because the collector was off, or wrong, and then it would
//! delete what is still wanted. So it is believed after it has gone on for a day: a person has that day to mend it.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::tasks::waits;
use crate::app::App;
use crate::store::Result;

/// How often something is deleted.
const EVERY: Duration = Duration::from_hours(1);
/// A clock that went on by more than this between two looks has jumped.
const JUMP: SignedDuration = SignedDuration::from_hours(36);
/// How long a clock that jumped must go on before it is believed.
const PROBATION: Duration = Duration::from_hours(24);
/// Where the last look is kept.
const KEPT: &str = "retention_clock";

/// Deletes what is older than the policy keeps it.
pub async fn keep(app: Arc<App>, shutdown: CancellationToken) {
    let mut elapsed = Duration::ZERO;
    loop {
        match trim(&app, elapsed, Timestamp::now()).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "deleted what is older than the policy keeps it"),
            Err(error) => tracing::error!(%error, "cannot delete what is older than the policy keeps it"),
        }
        if !waits(&shutdown, EVERY).await {
            return;
        }
        elapsed = EVERY;
    }
}

async fn trim(app: &App, elapsed: Duration, now: Timestamp) -> Result<u64> {
    let before = app.store.value(KEPT).await?.and_then(|text| Look::parse(&text));
    let look = Look::after(before, elapsed, now);
    app.store.put_value(KEPT, &look.text()).await?;
    if look.probation.is_zero() {
        return delete(app, now).await;
    }
    tracing::warn!(
        hours = look.probation.as_secs().div_ceil(3600),
        "the clock is days ahead of when this collector last looked at it; if it is wrong, mend it: until this many \
         hours have passed nothing is deleted for its age"
    );
    Ok(0)
}

async fn delete(app: &App, now: Timestamp) -> Result<u64> {
    let keep = &app.policy.retention;
    let before = |days: u32| now - SignedDuration::from_hours(24 * i64::from(days.max(1)));
    let mut rows = app.store.trim(before(keep.windows_days), before(keep.places_days)).await?;
    if keep.alerts_days > 0 {
        rows += app.store.trim_alerts(before(keep.alerts_days)).await?;
    }
    rows += app.store.trim_access(before(keep.access_days)).await?;
    Ok(rows)
}

/// What the clock said, and how long it has to go on until it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    at: Timestamp,
    probation: Duration,
}

impl Look {
    /// The look after another one, `elapsed` later by a timer that nobody can set.
    fn after(before: Option<Self>, elapsed: Duration, now: Timestamp) -> Self {
        let probation = match before {
            Some(before) if now.duration_since(before.at) > JUMP => PROBATION,
            // A clock that was put back is mended.
            Some(before) if now < before.at => Duration::ZERO,
            Some(before) => before.probation.saturating_sub(elapsed),
            None => Duration::ZERO,
        };
        Self { at: now, probation }
    }

    fn text(self) -> String {
        format!("{} {}", self.at.as_second(), self.probation.as_secs())
    }

    fn parse(text: &str) -> Option<Self> {
        let (at, probation) = text.split_once(' ')?;
        let at = Timestamp::from_second(at.parse().ok()?).ok()?;
        Some(Self { at, probation: Duration::from_secs(probation.parse().ok()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + hours * 3600).unwrap()
    }

    fn next(before: Look, elapsed_hours: u64, hours: i64) -> Look {
        let kept = Look::parse(&before.text()).unwrap();
        Look::after(Some(kept), Duration::from_secs(elapsed_hours * 3600), at(hours))
    }

    #[test]
    fn a_clock_a_year_ahead_deletes_nothing_for_a_day_not_even_after_a_restart() {
        let before = Look::after(None, Duration::ZERO, at(0));
        assert_eq!(before.probation, Duration::ZERO, "a new collector has nothing to lose");
        let year = 365 * 24;
        let ahead = next(before, 1, year);
        assert_eq!(ahead.probation, PROBATION);
        let restarted = next(ahead, 0, year + 1);
        assert_eq!(restarted.probation, PROBATION);
        let mut look = restarted;
        for hour in 0..24 {
            look = next(look, 1, year + 2 + hour);
        }
        assert_eq!(look.probation, Duration::ZERO, "the collector was off for a year");
    }

    #[test]
    fn a_clock_that_is_put_right_is_believed_at_once() {
        let ahead = next(Look::after(None, Duration::ZERO, at(0)), 1, 9000);
        assert_eq!(next(ahead, 0, 2).probation, Duration::ZERO);
        assert_eq!(
            next(Look::after(None, Duration::ZERO, at(0)), 0, 35).probation,
            Duration::ZERO,
            "a day off"
        );
    }
}
