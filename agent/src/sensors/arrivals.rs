//! When the things came that are there now.
//!
//! A sensor says at each look what is there; here is remembered since when, by the laptop's clock, to ten seconds. What was
//! there at the first look has no such time: it may have come an hour ago or last year.

use std::collections::BTreeMap;

use farmwatch_shared::state::FactKey;
use jiff::Timestamp;
use serde_json::Value;

/// Arrivals are told to so many seconds: enough to see what came together, too little for a diary.
const GRAIN: i64 = 10;
/// Most things that are remembered; sensors see fewer.
const MOST: usize = 4096;

/// What was there at the last look, and since when.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    looked: bool,
    there: BTreeMap<FactKey, There>,
}

#[derive(Debug)]
struct There {
    /// What makes it this thing and no other in the same place.
    identity: Vec<Value>,
    since: Option<Timestamp>,
}

impl Arrivals {
    /// Writes into each fact since when it is there (`since`). `identity` names the fields, by JSON pointer, in which another
    /// thing in the same place differs; hashes are none, because a new key changes them all at once.
    pub(super) fn stamp(&mut self, facts: &mut [(FactKey, Value)], identity: &[&str], now: Timestamp) {
        let came = self.looked.then(|| grained(now));
        let mut there = BTreeMap::new();
        for (key, fact) in facts.iter_mut().take(MOST) {
            let says: Vec<Value> =
                identity.iter().map(|field| fact.pointer(field).cloned().unwrap_or_default()).collect();
            let (since, identity) = match self.there.remove(key) {
                Some(before) if is_same(&before.identity, &says) => {
                    (before.since, known(before.identity, says))
                }
                _ => (came, says),
            };
            if let (Some(since), Value::Object(fields)) = (since, fact) {
                fields.insert("since".to_owned(), Value::String(since.to_string()));
            }
            there.insert(key.clone(), There { identity, since });
        }
        self.there = there;
        self.looked = true;
    }
}

/// No field says another thing; one that is not there yet, or cannot be read just now, says nothing.
fn is_same(before: &[Value], now: &[Value]) -> bool {
    before.iter().zip(now).all(|(before, now)| before == now || before.is_null() || now.is_null())
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
            assert_eq!(arrivals.there.len(), MOST);
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
                prop_assert_eq!(arrivals.there.len(), all.len());
            }
        }
    }
}
