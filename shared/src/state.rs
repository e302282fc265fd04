//! A device's state: its facts by key, as they stand now.
//!
//! The values are kept as they were sent, so that an old collector loses nothing of a newer agent: unknown
//! families and fields survive, and the digest is taken over what was sent, not over what was understood.
//! [`State::all`] gives the typed view that rules use: each fact is read once, whoever asks for it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::facts::Family;

/// Names one fact: its family and, within it, the thing it is about: `display/HDMI-A-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FactKey(String);

/// Longest fact key in bytes that is taken.
pub const MAX_KEY: usize = 256;

/// A text that is no fact key.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a fact key: it should be `family/name`, printable and at most {MAX_KEY} bytes long")]
pub struct InvalidKey;

impl FactKey {
    /// The key of a fact of family `F`. Control characters in `name` become `_`, and it is cut to fit.
    pub fn of<F: Family>(name: &str) -> Self {
        let mut key = format!("{}/", F::NAME);
        for c in name.chars().map(|c| if c.is_control() { '_' } else { c }) {
            if key.len() + c.len_utf8() > MAX_KEY {
                break;
            }
            key.push(c);
        }
        if name.is_empty() {
            key.push('_');
        }
        Self(key)
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `/`.
    pub fn family(&self) -> &str {
        self.0.split_once('/').map_or("", |(family, _)| family)
    }

    /// The part after the first `/`.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl TryFrom<String> for FactKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        let fits = text.len() <= MAX_KEY
            && !text.contains(char::is_control)
            && text.split_once('/').is_some_and(|(family, name)| !family.is_empty() && !name.is_empty());
        if fits { Ok(Self(text)) } else { Err(InvalidKey) }
    }
}

impl From<FactKey> for String {
    fn from(key: FactKey) -> String {
        key.0
    }
}

impl fmt::Display for FactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 128 bits that two states share only if they are equal: 32 hex digits on the wire.
///
/// The sum of a hash per fact, so it follows each change at the cost of that change. It guards against
/// drift, not against a device that lies about its own state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(u128);

impl Digest {
    /// What one fact adds to the digest of a state that holds it.
    pub fn of_fact(key: &FactKey, value: &Value) -> Self {
        let mut hash = Sha256::new();
        hash.update(key.as_str());
        hash.update([0]);
        hash.update(value.to_string());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.finalize()[..16]);
        Self(u128::from_be_bytes(first))
    }

    /// The digest with another's facts added.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// The digest with another's facts taken out.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }

    /// The digest as bytes, for a database.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The digest from [`Digest::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = digits.then(|| u128::from_str_radix(&text, 16).ok()).flatten();
        number.map(Self).ok_or("a digest is 32 hex digits")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What changed between two states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Facts that are new or different.
    pub set: BTreeMap<FactKey, Value>,
    /// Facts that are no longer.
    pub gone: Vec<FactKey>,
}

impl Delta {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.gone.is_empty()
    }
}

/// All facts about one device now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<FactKey, Value>", into = "BTreeMap<FactKey, Value>")]
pub struct State {
    facts: BTreeMap<FactKey, Fact>,
    /// Taken when it is first asked for, and from then on kept with each change: who only reads facts pays nothing.
    digest: OnceLock<Digest>,
}

impl State {
    /// Of facts as they are stored: JSON texts, which are read when they are first asked for. One that is no JSON reads as
    /// `null`.
    pub fn of_texts(facts: impl IntoIterator<Item = (FactKey, Box<str>)>) -> Self {
        let facts = facts.into_iter().map(|(key, text)| (key, Fact { text: Some(text), ..Fact::default() }));
        Self { facts: facts.collect(), digest: OnceLock::new() }
    }

    /// Sets a fact from its type.
    ///
    /// A fact that cannot become JSON (a map with keys that are not text) is a programming error of its
    /// family and is kept as `null`.
    pub fn put<F: Family>(&mut self, name: &str, fact: &F) {
        let value = serde_json::to_value(fact).unwrap_or(Value::Null);
        self.set(FactKey::of::<F>(name), value);
    }

    /// Sets a fact as it was sent.
    pub fn set(&mut self, key: FactKey, value: Value) {
        if let Some(digest) = self.digest.get_mut() {
            let old = self.facts.get(&key).map(|old| Digest::of_fact(&key, old.value())).unwrap_or_default();
            *digest = digest.minus(old).plus(Digest::of_fact(&key, &value));
        }
        self.facts.insert(key, Fact::from(value));
    }

    /// Removes a fact; one that is not there is no matter.
    pub fn remove(&mut self, key: &FactKey) {
        let Some(old) = self.facts.remove(key) else { return };
        if let Some(digest) = self.digest.get_mut() {
            *digest = digest.minus(Digest::of_fact(key, old.value()));
        }
    }

    /// Removes all facts of one family.
    pub fn clear_family(&mut self, family: &str) {
        let keys: Vec<_> = self.facts.keys().filter(|k| k.family() == family).cloned().collect();
        keys.iter().for_each(|key| self.remove(key));
    }

    /// One fact, typed; `None` if it is not there or not readable as `F`.
    pub fn get<F: Family>(&self, name: &str) -> Option<&F> {
        self.facts.get(&FactKey::of::<F>(name)).and_then(Fact::typed)
    }

    /// All readable facts of a family, typed, with their keys.
    pub fn all<F: Family>(&self) -> impl Iterator<Item = (&FactKey, &F)> {
        let from = FactKey(format!("{}/", F::NAME));
        self.facts
            .range(from..)
            .take_while(|(key, _)| key.family() == F::NAME)
            .filter_map(|(key, fact)| Some((key, fact.typed()?)))
    }

    /// Facts that somebody asked for and whose stored text is no JSON: they count as if they were not there.
    pub fn damaged(&self) -> impl Iterator<Item = &FactKey> {
        self.facts.iter().filter(|(_, fact)| fact.is_damaged()).map(|(key, _)| key)
    }

    /// One fact as it was sent.
    pub fn value(&self, key: &FactKey) -> Option<&Value> {
        self.facts.get(key).map(Fact::value)
    }

    /// Every fact as it was sent, in order of the keys.
    pub fn values(&self) -> impl Iterator<Item = (&FactKey, &Value)> {
        self.facts.iter().map(|(key, fact)| (key, fact.value()))
    }

    /// The same as a map of its own.
    pub fn to_map(&self) -> BTreeMap<FactKey, Value> {
        self.values().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The digest of this state.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let facts = self.values().map(|(key, value)| Digest::of_fact(key, value));
            facts.fold(Digest::default(), Digest::plus)
        })
    }

    /// What leads from `self` to `next`.
    pub fn delta(&self, next: &State) -> Delta {
        let set = next.values().filter(|(key, value)| self.value(key) != Some(value));
        let gone = self.facts.keys().filter(|key| !next.facts.contains_key(*key));
        Delta { set: set.map(|(k, v)| (k.clone(), v.clone())).collect(), gone: gone.cloned().collect() }
    }

    /// Applies a delta.
    pub fn apply(&mut self, delta: Delta) {
        delta.gone.iter().for_each(|key| self.remove(key));
        delta.set.into_iter().for_each(|(key, value)| self.set(key, value));
    }
}

impl From<BTreeMap<FactKey, Value>> for State {
    fn from(facts: BTreeMap<FactKey, Value>) -> Self {
        let facts = facts.into_iter().map(|(key, value)| (key, Fact::from(value)));
        Self { facts: facts.collect(), digest: OnceLock::new() }
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.facts == other.facts
    }
}

impl From<State> for BTreeMap<FactKey, Value> {
    fn from(state: State) -> Self {
        state.facts.into_iter().map(|(key, fact)| (key, fact.into_value())).collect()
    }
}

/// A fact as it was sent, and as its family's type reads it, once somebody asked for that. It never changes: another takes
/// its place.
#[derive(Debug, Default)]
struct Fact {
    /// As it is stored; none of one that never was.
    text: Option<Box<str>>,
    value: OnceLock<Value>,
    /// None where it does not read as its family's type.
    typed: OnceLock<Option<Box<dyn Any + Send + Sync>>>,
}

impl Fact {
    fn value(&self) -> &Value {
        self.value.get_or_init(|| self.read().unwrap_or_default())
    }

    fn into_value(mut self) -> Value {
        self.value.take().or_else(|| self.read()).unwrap_or_default()
    }

    /// As the type of its family: of another it is none.
    fn typed<F: Family>(&self) -> Option<&F> {
        let typed = self.typed.get_or_init(|| {
            let fact: Option<F> = match self.value.get() {
                Some(value) => F::deserialize(value).ok(),
                None => self.read(),
            };
            fact.map(|fact| Box::new(fact) as Box<dyn Any + Send + Sync>)
        });
        typed.as_ref()?.downcast_ref()
    }

    fn is_damaged(&self) -> bool {
        let asked_in_vain = matches!(self.typed.get(), Some(None));
        asked_in_vain && self.text.is_some() && self.read::<IgnoredAny>().is_none()
    }

    fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.text.as_deref()?).ok()
    }
}

impl From<Value> for Fact {
    fn from(value: Value) -> Self {
        Self { value: OnceLock::from(value), ..Self::default() }
    }
}

impl Clone for Fact {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), value: self.value.clone(), typed: OnceLock::new() }
    }
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::facts::{Display, Power};

    fn states() -> impl Strategy<Value = State> {
        prop::collection::btree_map("[a-c]/[a-d]", 0..4i32, 0..8).prop_map(|map| {
            let facts = map.into_iter().map(|(k, v)| (FactKey::try_from(k).unwrap(), json!({ "v": v })));
            State::from(facts.collect::<BTreeMap<_, _>>())
        })
    }

    proptest! {
        #[test]
        fn delta_then_apply_is_identity(a in states(), b in states()) {
            let mut moved = a.clone();
            moved.apply(a.delta(&b));
            prop_assert_eq!(&moved, &b);
            prop_assert_eq!(moved.digest(), b.digest());
        }

        #[test]
        fn equal_digests_mean_equal_states(a in states(), b in states()) {
            prop_assert_eq!(a.digest() == b.digest(), a == b);
        }
    }

    #[test]
    fn a_newer_agents_fields_survive_the_way_through() {
        let mut state = State::default();
        let key = FactKey::of::<Power>("self");
        state.set(key.clone(), json!({"mains": true, "fuel_cell": "hydrogen"}));
        assert_eq!(state.get::<Power>("self").unwrap().mains, Some(true));
        let sent = serde_json::to_string(&state).unwrap();
        let got: State = serde_json::from_str(&sent).unwrap();
        assert_eq!(got.value(&key).unwrap()["fuel_cell"], "hydrogen");
        assert_eq!(got.digest(), state.digest());
    }

    #[test]
    fn what_is_stored_reads_as_what_was_sent_and_no_json_as_nothing() {
        let (mut sent, key) = (State::default(), |text: &str| FactKey::try_from(text.to_owned()).unwrap());
        sent.set(key("power/self"), json!({"mains": true, "fuel_cell": [1, 2.5]}));
        sent.set(key("display/1"), json!("no display"));
        let texts = |state: &State| -> Vec<(FactKey, Box<str>)> {
            state.values().map(|(key, value)| (key.clone(), value.to_string().into())).collect()
        };
        let stored = State::of_texts(texts(&sent));
        assert_eq!(
            stored.get::<Power>("self").unwrap().mains,
            Some(true),
            "before anybody asked for its value"
        );
        assert_eq!(stored.clone(), sent);
        assert_eq!(stored.digest(), sent.digest());
        assert_eq!(stored.all::<Display>().count(), 0);
        assert_eq!(stored.damaged().count(), 0, "no display is no damage");
        assert_eq!(BTreeMap::from(stored), sent.to_map());
        let bad = State::of_texts([(key("power/self"), "{\"mains\":".into())]);
        assert_eq!(bad.damaged().count(), 0, "nobody asked");
        assert_eq!((bad.get::<Power>("self"), bad.value(&key("power/self"))), (None, Some(&Value::Null)));
        assert_eq!(bad.damaged().map(FactKey::as_str).collect::<Vec<_>>(), ["power/self"]);
    }

    #[test]
    fn keys_from_the_wire_are_checked() {
        for bad in ["", "display", "/x", "display/", "display/a\nb"] {
            assert!(FactKey::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(FactKey::of::<Power>(&"x".repeat(1000)).as_str().len() <= MAX_KEY);
    }
}
