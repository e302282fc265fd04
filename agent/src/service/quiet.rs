//! Quiet hours: times at which policy has the sensors off. Pure; local time is the caller's.

use farmwatch_shared::facts::{Family as _, Host, SENSORS};
use farmwatch_shared::policy::{AgentPolicy, QuietHours, minute, weekday};
use jiff::civil::{DateTime, Time, Weekday};

/// The sensors that are off: those that policy has off, and in quiet hours all but the machine's own: what it is and
/// who manages it says nothing about a person's hours.
pub fn sensors_off(policy: &AgentPolicy, quiet: bool) -> Vec<String> {
    let mut off = policy.sensors_off.clone();
    if quiet {
        off.extend(SENSORS.iter().filter(|name| **name != Host::NAME).map(ToString::to_string));
    }
    off
}

/// It is a quiet hour.
pub fn is_quiet(spans: &[QuietHours], local: DateTime) -> bool {
    spans.iter().any(|span| holds(span, local))
}

/// A span that does not read holds never: a slip in the policy must not turn sensors off.
fn holds(span: &QuietHours, local: DateTime) -> bool {
    let (Some(from), Some(to)) = (minute(&span.from), minute(&span.to)) else { return false };
    let now = minutes(local.time());
    let on = |day: Weekday| span.days.iter().any(|name| weekday(name) == Some(day));
    let today = local.date().weekday();
    if from < to {
        return on(today) && (from..to).contains(&now);
    }
    // Over midnight: the day named is the one on which it begins.
    (on(today) && now >= from) || (on(today.previous()) && now < to)
}

fn minutes(time: Time) -> u16 {
    u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(days: &[&str], from: &str, to: &str) -> Vec<QuietHours> {
        vec![QuietHours {
            days: days.iter().map(ToString::to_string).collect(),
            from: from.into(),
            to: to.into(),
        }]
    }

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn weekends_are_quiet_from_midnight_to_midnight() {
        let weekend = span(&["sat", "sun"], "00:00", "24:00");
        assert!(is_quiet(&weekend, at("2026-11-28T23:59:59")), "a Saturday");
        assert!(!is_quiet(&weekend, at("2026-11-27T23:59:59")), "a Friday");
    }

    #[test]
    fn evenings_reach_over_midnight_into_the_next_day() {
        let evenings = span(&["fri"], "19:00", "07:00");
        assert!(is_quiet(&evenings, at("2026-11-27T19:00:00")));
        assert!(is_quiet(&evenings, at("2026-11-28T06:59:00")));
        assert!(!is_quiet(&evenings, at("2026-11-28T07:00:00")));
        assert!(!is_quiet(&evenings, at("2026-11-27T06:00:00")), "Thursday evening is not named");
    }

    #[test]
    fn in_quiet_hours_no_input_is_counted_and_what_policy_has_off_stays_off() {
        let policy = AgentPolicy { sensors_off: vec!["host".into()], ..AgentPolicy::default() };
        assert_eq!(sensors_off(&policy, false), ["host"]);
        let off = sensors_off(&policy, true);
        assert!(SENSORS.iter().all(|name| off.contains(&(*name).to_owned())), "{off:?}");
        assert!(!sensors_off(&AgentPolicy::default(), true).contains(&"host".to_owned()));
    }

    #[test]
    fn a_slip_in_the_policy_turns_nothing_off() {
        for (from, to) in [("", "24:00"), ("00:00", "25:00"), ("x:y", "07:00"), ("-1:00", "07:00")] {
            assert!(!is_quiet(&span(&["fri"], from, to), at("2026-11-27T05:00:00")), "{from} {to}");
        }
    }
}
