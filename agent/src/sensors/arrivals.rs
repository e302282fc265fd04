//! When the things came that are there now.
//!
//! A sensor says at each look what is there; here is remembered since when, by the laptop's clock, to ten seconds. What is
//! there at the first look of all has no such time: it may have come an hour ago or last year. So has what came while the
//! agent did not run; what was there before and is there again was there all along, as far as anybody looked.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use farmwatch_shared::state::FactKey;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kept::{Kept, Looked};

/// Arrivals are told to so many seconds: enough to see what came together, too little for a diary.
const GRAIN: i64 = 10;
/// Most things that are remembered; sensors see fewer.
pub(super) const MOST: usize = 4096;
/// A laptop that starts finds its screens and devices one after the other.
const SETTLES: Duration = Duration::from_mins(2);

/// What was there at the last look, and since when.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    first: Option<Timestamp>,
    last: Looked,
    /// What an earlier run of the agent kept, and this one has not found yet.
    earlier: Looked,
    /// How long after the first look the laptop still finds what was there before.
    settles: Duration,
    kept: Option<Kept>,
}

/// A thing, by its fact's key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct There {
    /// What makes it this thing and no other in the same place.
    pub(super) identity: Vec<Value>,
    pub(super) since: Option<Timestamp>,
}

impl Arrivals {
    /// Of one family's things, kept in the agent's state folder if it has one. `up`: how long the laptop has been up. Of
    /// one that is not only starting the first look finds all that is there: what comes after it came then, whether or
    /// not the same was there before. (Whether it started since the earlier run, as its boot id would tell, is the same to
    /// what is there: it is there again, or came while nobody looked.)
    pub(super) fn of(family: &'static str, state: Option<&Path>, up: Duration) -> Self {
        let kept = state.map(|state| Kept::of(state, family));
        Self { kept, settles: SETTLES.saturating_sub(up), ..Self::default() }
    }

    /// What is there could not be kept yet.
    pub(super) fn owes(&self) -> bool {
        self.kept.as_ref().is_some_and(Kept::owes)
    }

    /// Writes into each fact since when it is there (`since`). `identity` names the fields, by JSON pointer, in which another
    /// thing in the same place differs; hashes are none, because a new key changes them all at once.
    pub(super) fn stamp(&mut self, facts: &mut [(FactKey, Value)], identity: &[&str], now: Timestamp) {
        let is_first = self.first.is_none();
        let first = *self.first.get_or_insert(now);
        if let Some(kept) = self.kept.as_mut().filter(|_| is_first) {
            self.earlier = kept.read();
        }
        let settled = SignedDuration::try_from(self.settles).unwrap_or(SignedDuration::MAX);
        if now.duration_since(first) > settled {
            self.earlier.there.clear();
        }
        // A clock that an earlier run's was ahead of (its battery is empty) tells no time.
        let came = (!is_first && now >= self.earlier.at).then(|| grained(now));
        let mut there = BTreeMap::new();
        for (key, fact) in facts.iter_mut().take(MOST) {
            let says: Vec<Value> =
                identity.iter().map(|field| fact.pointer(field).cloned().unwrap_or_default()).collect();
            let before = self.last.there.remove(key.as_str());
            let (since, identity) = match before.or_else(|| self.earlier.there.remove(key.as_str())) {
                Some(before) if is_same(&before.identity, &says) => {
                    (before.since, known(before.identity, says))
                }
                _ => (came, says),
            };
            // One that is not yet was told by a clock that was wrong.
            if let (Some(since), Value::Object(fields)) = (since.filter(|since| *since <= now), fact) {
                fields.insert("since".to_owned(), Value::String(since.to_string()));
            }
            there.insert(key.to_string(), There { identity, since });
        }
        self.last = Looked { at: now, there };
        if let Some(kept) = &mut self.kept {
            kept.write(&self.last, Instant::now());
        }
    }
}

/// No field says another thing; one that is not there yet, or cannot be read just now, says nothing.
fn is_same(before: &[Value], now: &[Value]) -> bool {
    let same = |(before, now): (&Value, &Value)| before == now || before.is_null() || now.is_null();
    before.len() == now.len() && before.iter().zip(now).all(same)
}

fn known(before: Vec<Value>, now: Vec<Value>) -> Vec<Value> {
    before.into_iter().zip(now).map(|(before, now)| if now.is_null() { before } else { now }).collect()
}

fn grained(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second().div_euclid(GRAIN) * GRAIN).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const IDENTITY: [&str; 1] = ["/edid/product"];

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }

    fn screens(all: &[(&str, Value)]) -> Vec<(FactKey, Value)> {
        all.iter()
            .map(|(name, v)| (FactKey::try_from(format!("display/{name}")).unwrap(), v.clone()))
            .collect()
    }

    /// `since` of the first fact after a look.
    fn since(arrivals: &mut Arrivals, all: &[(&str, Value)], second: i64) -> Value {
        let mut facts = screens(all);
        arrivals.stamp(&mut facts, &IDENTITY, at(second));
        facts.first().map_or(Value::Null, |(_, fact)| fact["since"].clone())
    }

    #[test]
    fn what_was_there_at_first_has_no_time_and_what_comes_later_keeps_its() {
        let monitor = json!({"active": true, "edid": {"product": 1}});
        let mut arrivals = Arrivals::default();
        assert_eq!(since(&mut arrivals, &[("DP-1", monitor.clone())], 0), Value::Null);
        assert_eq!(since(&mut arrivals, &[("DP-1", monitor.clone())], 60), Value::Null);
        assert_eq!(since(&mut arrivals, &[], 120), Value::Null);
        let came = since(&mut arrivals, &[("DP-1", monitor.clone())], 187);
        assert_eq!(came, json!(at(180).to_string()), "to ten seconds");
        let dark = json!({"active": false, "edid": {"product": 1}});
        assert_eq!(since(&mut arrivals, &[("DP-1", dark)], 900), came, "the same screen, dark");
    }

    #[test]
    fn another_thing_in_the_same_place_came_when_it_came() {
        let mut arrivals = Arrivals::default();
        since(&mut arrivals, &[("DP-1", json!({"edid": {"product": 1}}))], 0);
        let capture = json!({"edid": {"product": 2}});
        assert_eq!(since(&mut arrivals, &[("DP-1", capture)], 60), json!(at(60).to_string()));
    }

    #[test]
    fn a_monitor_whose_edid_cannot_be_read_for_a_moment_is_still_the_same() {
        let mut arrivals = Arrivals::default();
        since(&mut arrivals, &[], 0);
        let came = since(&mut arrivals, &[("DP-1", json!({"edid": {"product": 1}}))], 60);
        assert_eq!(since(&mut arrivals, &[("DP-1", json!({"edid_error": "no answer"}))], 120), came);
        assert_eq!(since(&mut arrivals, &[("DP-1", json!({"edid": {"product": 1}}))], 180), came);
        let other = since(&mut arrivals, &[("DP-1", json!({"edid": {"product": 2}}))], 240);
        assert_eq!(other, json!(at(240).to_string()));
    }

    #[test]
    fn a_restart_keeps_what_is_there_still_and_knows_no_time_of_what_came_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let run = || Arrivals::of("display", Some(folder.path()), Duration::ZERO);
        let (kvm, other) = (json!({"edid": {"product": 1}}), json!({"edid": {"product": 2}}));
        let mut first = run();
        since(&mut first, &[], 0);
        let came = since(&mut first, &[("DP-1", kvm.clone())], 60);
        assert_eq!(came, json!(at(60).to_string()));
        let mut second = run();
        assert_eq!(since(&mut second, &[("DP-1", kvm.clone()), ("DP-2", other.clone())], 900), came);
        assert_eq!(since(&mut second, &[("DP-2", other.clone())], 960), Value::Null, "while nobody looked");
        assert_eq!(since(&mut run(), &[("DP-1", other)], 1000), Value::Null, "another in its place");
    }

    #[test]
    fn a_laptop_that_starts_finds_its_things_one_by_one_and_a_minute_later_they_come_anew() {
        let folder = tempfile::tempdir().unwrap();
        let run = || Arrivals::of("display", Some(folder.path()), Duration::from_secs(20));
        let kvm = [("DP-1", json!({"edid": {"product": 1}}))];
        let mut first = run();
        since(&mut first, &[], 0);
        let came = since(&mut first, &kvm, 60);
        let mut second = run();
        since(&mut second, &[], 1000);
        assert_eq!(since(&mut second, &kvm, 1010), came);
        since(&mut second, &[], 1200);
        assert_eq!(since(&mut second, &kvm, 1300), json!(at(1300).to_string()));
    }

    #[test]
    fn what_was_taken_away_while_the_agent_was_off_came_anew_unless_the_laptop_is_only_starting() {
        let folder = tempfile::tempdir().unwrap();
        let run = |up| Arrivals::of("display", Some(folder.path()), up);
        let kvm = [("DP-1", json!({"edid": {"product": 1}}))];
        let mut first = run(Duration::ZERO);
        since(&mut first, &[], 0);
        let came = since(&mut first, &kvm, 60);
        // The agent is updated; meanwhile somebody pulls it out, and plugs it in again a little later.
        let mut second = run(Duration::from_hours(3));
        since(&mut second, &[], 900);
        let again = since(&mut second, &kvm, 940);
        assert_eq!(again, json!(at(940).to_string()));
        // The laptop starts anew with the agent switched off, which somebody starts by hand: it is there at the first look.
        assert_eq!(since(&mut run(Duration::from_hours(1)), &kvm, 9000), again);
        // With the agent on: it is found some time after the first look.
        let mut booted = run(Duration::from_secs(20));
        since(&mut booted, &[], 20_000);
        assert_eq!(since(&mut booted, &kvm, 20_090), again);
        assert_ne!(again, came);
    }

    #[test]
    fn a_clock_that_jumps_tells_no_time_to_come_and_none_that_it_cannot_know() {
        let folder = tempfile::tempdir().unwrap();
        let run = || Arrivals::of("display", Some(folder.path()), Duration::ZERO);
        let kvm = json!({"edid": {"product": 1}});
        let mut first = run();
        since(&mut first, &[], 0);
        let came = since(&mut first, &[("DP-1", kvm.clone())], 600);
        // The laptop starts anew and its clock says 1970 until the network tells the time.
        let mut second = run();
        let dead = -1_790_000_000;
        assert_eq!(since(&mut second, &[("DP-1", kvm.clone())], dead), Value::Null);
        let both = [("DP-0", kvm.clone()), ("DP-1", kvm.clone())];
        assert_eq!(since(&mut second, &both, dead + 60), Value::Null, "no monitor came in 1970");
        assert_eq!(since(&mut second, &[("DP-1", kvm.clone())], 5000), came);
        assert_eq!(since(&mut second, &[("DP-2", kvm)], 5060), json!(at(5060).to_string()));
    }

    #[test]
    fn a_new_key_for_hashes_makes_no_arrival() {
        let mut arrivals = Arrivals::default();
        since(&mut arrivals, &[("DP-1", json!({"edid": {"product": 1, "serial": "old"}}))], 0);
        let again = json!({"edid": {"product": 1, "serial": "new"}});
        assert_eq!(since(&mut arrivals, &[("DP-1", again)], 60), Value::Null);
    }

    #[test]
    fn a_bus_that_re_enumerates_without_end_is_remembered_to_a_bound() {
        let mut arrivals = Arrivals::default();
        for round in 0..3 {
            let names: Vec<String> = (0..10_000).map(|n| format!("{round}-{n}")).collect();
            let all: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), json!({}))).collect();
            since(&mut arrivals, &all, round);
            assert_eq!(arrivals.last.there.len(), MOST);
        }
    }

    proptest! {
        #[test]
        fn no_facts_panic_and_none_is_remembered_that_is_gone(
            looks in prop::collection::vec(prop::collection::btree_map("[a-f]", 0..3u8, 0..5), 1..20)
        ) {
            let mut arrivals = Arrivals::default();
            for (second, look) in (0i64..).step_by(7).zip(looks) {
                let look: Vec<(String, Value)> = look.into_iter().map(|(k, v)| (k, json!({"edid": {"product": v}}))).collect();
                let all: Vec<(&str, Value)> = look.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
                since(&mut arrivals, &all, second);
                prop_assert_eq!(arrivals.last.there.len(), all.len());
            }
        }
    }
}
