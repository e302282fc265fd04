//! Hashing again what agents hashed.
//!
//! An agent's key lies on every laptop of the tenant, the farm's too: who has it and a copy of the database
//! could try all hardware addresses. So before anything is stored, each hash is hashed once more, with a key
//! that only the collector has. Equal stays equal, so anchors still match.
//!
//! What is a hash is told by its form alone, so that hashes in a newer agent's families and fields are found
//! too: a JSON string of exactly 32 hex digits is one, wherever it stands. Agents send each hash as a string of
//! its own. Two things are left as they are: the `host` family, whose serial numbers and MDM ids are plain by
//! design and may look alike; and the report's own `digest` and `machine`, which the store compares.
//!
//! The agent's digest is over what it sent. [`rehash`] therefore returns what each changed fact added to that
//! digest; the store keeps it beside the fact.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{Family as _, Host};
use farmwatch_shared::id::{HashKey, KeyedHash};
use farmwatch_shared::report::Report;
use farmwatch_shared::state::{Digest, FactKey};
use serde_json::Value;

/// Hashes a hash once more: what [`rehash`] makes of one. For IT's lists of sanctioned accounts and things,
/// which name hashes as pages show them.
pub fn hash_again(hash: &KeyedHash, key: &HashKey) -> KeyedHash {
    key.hash("stored", &hash.as_str().to_ascii_lowercase())
}

/// Hashes all hashes in a report once more. What each fact that this changed adds to the digest as it was sent.
pub fn rehash(report: &mut Report, key: &HashKey) -> BTreeMap<FactKey, Digest> {
    let mut as_sent = BTreeMap::new();
    for (name, value) in &mut report.set {
        if name.family() == Host::NAME || !holds_hash(value) {
            continue;
        }
        as_sent.insert(name.clone(), Digest::of_fact(name, value));
        replace(value, key);
    }
    report.other.values_mut().for_each(|value| replace(value, key));
    as_sent
}

fn holds_hash(value: &Value) -> bool {
    match value {
        Value::String(text) => KeyedHash::parse(text).is_some(),
        Value::Array(items) => items.iter().any(holds_hash),
        Value::Object(fields) => fields.values().any(holds_hash),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// As deep as the wire's bound on nesting, no deeper.
fn replace(value: &mut Value, key: &HashKey) {
    match value {
        Value::String(text) => {
            if let Some(hash) = KeyedHash::parse(text) {
                hash_again(&hash, key).as_str().clone_into(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, key)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::{Display, EdidFacts, Neighbour, Network, RemoteTool, UsbDevice};
    use farmwatch_shared::state::State;
    use serde_json::json;

    use super::super::tests::report;
    use super::*;

    /// Everything with a hash in it, each a different one.
    fn state(agents_key: &HashKey) -> (State, Vec<String>) {
        let mut hashes = Vec::new();
        let mut hash = |kind: &str| {
            let hash = agents_key.hash(kind, &hashes.len().to_string());
            hashes.push(hash.as_str().to_owned());
            hash
        };
        let mut state = State::default();
        state.put("1-4", &UsbDevice { serial: Some(hash("serial")), ..Default::default() });
        let edid = EdidFacts { serial: Some(hash("serial")), ..Default::default() };
        state.put("HDMI-A-1", &Display { edid: Some(edid), ..Default::default() });
        state.put("anydesk", &RemoteTool { account: Some(hash("account")), ..Default::default() });
        let network = Network {
            gateway: Some(hash("gateway")),
            dhcp_server: Some(hash("dhcp")),
            neighbours: vec![
                Neighbour { id: hash("neighbour"), oui: "b827eb".into() },
                Neighbour { id: hash("neighbour"), oui: String::new() },
            ],
            ..Default::default()
        };
        state.put("eth0", &network);
        let newer = json!({"deep": [{"er": hash("newer").as_str()}]});
        state.set(FactKey::try_from("bluetooth_device/1".to_owned()).unwrap(), newer);
        (state, hashes)
    }

    #[test]
    fn no_hash_of_an_agents_making_reaches_the_store() {
        let (agents, ours) = (HashKey::new([1; 32]), HashKey::new([2; 32]));
        let (state, hashes) = state(&agents);
        let mut report = report(1, &State::default(), &state);
        report.other.insert("newest".into(), json!([hashes[0]]));
        let as_sent = rehash(&mut report, &ours);
        let stored = serde_json::to_string(&report).unwrap();
        for hash in &hashes {
            assert!(!stored.contains(hash.as_str()), "{hash} in {stored}");
            let again = hash_again(&KeyedHash::parse(hash).unwrap(), &ours);
            assert!(stored.contains(again.as_str()));
        }
        assert_eq!(as_sent.len(), state.values().count());
        let sum = as_sent.values().fold(Digest::default(), |sum, digest| sum.plus(*digest));
        assert_eq!(sum, state.digest());
    }

    #[test]
    fn two_laptops_on_one_dock_still_share_it() {
        let (agents, ours) = (HashKey::new([1; 32]), HashKey::new([2; 32]));
        let serial = agents.hash("serial", "DOCK-1");
        let shouted = KeyedHash::parse(&serial.as_str().to_uppercase()).unwrap();
        assert_eq!(hash_again(&serial, &ours), hash_again(&shouted, &ours));
    }

    #[test]
    fn ids_of_the_companys_own_laptop_stay_plain() {
        let id = "0123456789abcdef0123456789abcdef";
        let mut state = State::default();
        state.put("self", &Host { managed_by: [("fleet".into(), id.into())].into(), ..Host::default() });
        let mut report = report(1, &State::default(), &state);
        assert!(rehash(&mut report, &HashKey::new([2; 32])).is_empty());
        assert!(serde_json::to_string(&report).unwrap().contains(id));
    }
}
