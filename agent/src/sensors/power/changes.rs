//! What happened between two looks at the power.

use std::time::Duration;

use farmwatch_shared::facts::TransitionKind::{
    Booted, LidClosed, LidOpened, MainsLost, MainsRegained, Resumed, Suspended,
};
use farmwatch_shared::facts::{TransitionKind, Window};
use jiff::{SignedDuration, Timestamp};

/// A sleep shorter than this is the clock's noise.
const SHORTEST_SLEEP: Duration = Duration::from_secs(2);
/// An agent that starts this soon after the system saw the boot itself.
const FRESH_BOOT: Duration = Duration::from_mins(5);

/// What one look saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// When.
    pub(super) at: Timestamp,
    /// On mains.
    pub(super) mains: Option<bool>,
    /// Lid closed.
    pub(super) lid_closed: Option<bool>,
    /// How long the machine has slept since it started.
    pub(super) asleep: Duration,
}

/// What happened between two looks: mains to the second, everything else to five minutes, as the design says.
pub(super) fn between(before: &Moment, now: &Moment) -> impl Iterator<Item = (Timestamp, TransitionKind)> {
    let slept = now.asleep.saturating_sub(before.asleep);
    let woke = slept >= SHORTEST_SLEEP;
    let slept = SignedDuration::try_from(slept).unwrap_or_default();
    let fell_asleep = now.at.checked_sub(slept).unwrap_or(now.at);
    let mains = changed(before.mains, now.mains).map(|on| if on { MainsRegained } else { MainsLost });
    let lid = changed(before.lid_closed, now.lid_closed).map(|shut| if shut { LidClosed } else { LidOpened });
    [
        woke.then(|| (Window::start_of(fell_asleep), Suspended)),
        woke.then(|| (Window::start_of(now.at), Resumed)),
        mains.map(|kind| (to_the_second(now.at), kind)),
        lid.map(|kind| (Window::start_of(now.at), kind)),
    ]
    .into_iter()
    .flatten()
}

/// What the agent's own start says.
pub(super) fn at_start(
    now: Timestamp,
    uptime: Option<Duration>,
) -> impl Iterator<Item = (Timestamp, TransitionKind)> {
    let fresh = uptime.filter(|uptime| *uptime < FRESH_BOOT);
    let booted = fresh.and_then(|uptime| now.checked_sub(SignedDuration::try_from(uptime).ok()?).ok());
    booted.map(|at| (Window::start_of(at), Booted)).into_iter()
}

fn changed(before: Option<bool>, now: Option<bool>) -> Option<bool> {
    let (before, now) = (before?, now?);
    (before != now).then_some(now)
}

fn to_the_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(at: &str, mains: Option<bool>, asleep: u64) -> Moment {
        Moment {
            at: at.parse().unwrap(),
            mains,
            lid_closed: Some(false),
            asleep: Duration::from_secs(asleep),
        }
    }

    #[test]
    fn mains_that_go_and_come_are_seen_to_the_second() {
        let on = moment("2026-11-24T15:00:30.4Z", Some(true), 0);
        let off = moment("2026-11-24T15:00:32.5Z", Some(false), 0);
        let got: Vec<_> = between(&on, &off).collect();
        assert_eq!(got, [("2026-11-24T15:00:32Z".parse().unwrap(), MainsLost)]);
        assert_eq!(between(&off, &on).next().unwrap().1, MainsRegained);
        assert_eq!(between(&on, &on).count(), 0);
        let unknown = moment("2026-11-24T15:00:32.5Z", None, 0);
        assert_eq!(between(&on, &unknown).count(), 0, "a sensor that went is no power cut");
    }

    #[test]
    fn a_night_asleep_is_a_suspend_and_a_resume_to_five_minutes() {
        let evening = moment("2026-11-24T22:01:00Z", Some(true), 0);
        let morning = moment("2026-11-25T06:02:02Z", Some(true), 8 * 3600);
        let got: Vec<_> = between(&evening, &morning).collect();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(got, [(at("2026-11-24T22:00:00Z"), Suspended), (at("2026-11-25T06:00:00Z"), Resumed)]);
    }

    #[test]
    fn an_agent_restarted_hours_after_the_boot_says_no_boot() {
        let now = "2026-11-24T15:00:30Z".parse().unwrap();
        assert_eq!(at_start(now, Some(Duration::from_secs(40))).count(), 1);
        assert_eq!(at_start(now, Some(Duration::from_hours(3))).count(), 0);
        assert_eq!(at_start(now, None).count(), 0);
    }
}
