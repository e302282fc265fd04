//! Rules: pure functions from what is known of one device to findings. One file per evidence group.
//!
//! **Causes.** Per group the strongest finding counts; across groups, findings with one physical cause share one
//! cap, that of the cause's kind in the weights file (the word before its `:`); a cause of one group needs none. A cause is therefore named after
//! the thing in the world, not after where it was seen:
//!
//! | cause | what is behind it |
//! |---|---|
//! | `kvm` | a box between the laptop and its operator: its USB device, its screen, its absolute pointing. One cause for all of them: the facts do not say that they are two boxes |
//! | `tool:<catalogue id>` | one remote-access program |
//! | `jiggler` | what feigns a person, program or device |
//! | `hands`, `path`, `injected`, `hours`, `way` | how it is used |
//! | `network`, `place`, `others`, `clock` | where it is |
//! | `agent` | what is done to the agent |

mod arrival;
pub mod common;
mod display;
mod hands;
mod hid_bus;
mod hygiene;
mod input;
mod locale;
mod network_origin;
mod no_way_in;
mod place;
mod power;
pub mod remote_control;
#[cfg(test)]
mod testing;
mod usb_hid;
#[cfg(test)]
mod zoo;

pub use input::of_timing as timing;
use jiff::Timestamp;
pub use place::share_of as share_of_strange_hardware;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::facts::{
    Display, Family as _, HidDevice, Host, Locale, Power, RemoteTool, SensorStatus, Transition, UsbDevice,
};
use crate::finding::{Finding, Group};
use crate::id::KeyedHash;
use crate::policy::AgentPolicy;
use crate::state::{FactKey, State};
use crate::usage::Usage;
use crate::weights::Weights;

/// What is known of one device when it is judged. Everything but the state may be missing: on the laptop
/// itself, nobody knows its public address.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Its facts.
    pub state: &'a State,
    /// How it was used, of its activity windows.
    pub usage: &'a Usage,
    /// Its transitions, oldest first.
    pub transitions: &'a [Transition],
    /// What the collector saw and IT imported.
    pub context: &'a Context,
    /// Now.
    pub now: Timestamp,
}

/// What the collector adds to a device's own facts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// Public address' country, two letters.
    pub country: Option<String>,
    /// Kind of the network that the public address belongs to, where a data file tells.
    pub hosting_network: bool,
    /// The address is a sanctioned place's: an office, a VPN exit. Address and round trip then say nothing.
    pub sanctioned_place: bool,
    /// Where IT says the person should be, two letters.
    pub expected_country: Option<String>,
    /// Shortest round trip seen over the last days, in milliseconds.
    pub min_rtt_ms: Option<u32>,
    /// Catalogue ids of tools that IT sanctions for this device (globally or by an exception), all tenants.
    pub sanctioned_tools: Vec<String>,
    /// Account hashes that IT sanctions: its own tenant of a tool.
    pub sanctioned_accounts: Vec<String>,
    /// Keys of facts or hashes of serials that IT sanctions: its own KVM.
    pub sanctioned_things: Vec<String>,
    /// Keyboard layout and language may be judged.
    pub judge_locale: bool,
    /// Sensors that are blind on fewer than 1 % of the laptops of this model and system, by name: a blind
    /// sensor among them is a finding.
    pub unusually_blind: Vec<String>,
    /// Laptops and docks of other companies that have stood on the same network for a day, where none of ours
    /// stands with it; 0 in a sanctioned place.
    pub strange_hardware: usize,
    /// Seconds that the agent has been silent while the laptop was seen elsewhere; 0 if not.
    pub silent_seconds: u64,
}

impl Context {
    /// What an agent knows by its policy. The collector knows more: accounts, serial numbers, exceptions, places.
    pub fn sanctioned_by(policy: &AgentPolicy) -> Self {
        Self {
            sanctioned_tools: policy.sanctioned_tools.clone(),
            sanctioned_things: policy.sanctioned_things.clone(),
            ..Self::default()
        }
    }
}

/// A rule.
pub type Rule = fn(&Evidence<'_>, &Weights) -> Vec<Finding>;

/// All rules. To add one: a file, a line here, its weights in `weights.toml`.
pub const RULES: &[Rule] = &[
    remote_control::rule,
    hands::rule,
    input::rule,
    display::rule,
    arrival::rule,
    usb_hid::rule,
    hid_bus::rule,
    network_origin::rule,
    place::rule,
    locale::rule,
    power::rule,
    hygiene::rule,
];

/// Ids of all findings that the rules can make; each has its weights in `weights.toml`.
pub const IDS: &[&[&str]] = &[
    remote_control::IDS,
    hands::IDS,
    input::IDS,
    display::IDS,
    arrival::IDS,
    usb_hid::IDS,
    hid_bus::IDS,
    network_origin::IDS,
    place::IDS,
    locale::IDS,
    power::IDS,
    hygiene::IDS,
    no_way_in::IDS,
];

/// Families of facts that rules read: when one of these changes, the device is to be judged anew.
pub const READ: [&str; 8] = [
    Host::NAME,
    RemoteTool::NAME,
    Display::NAME,
    UsbDevice::NAME,
    HidDevice::NAME,
    Power::NAME,
    Locale::NAME,
    SensorStatus::NAME,
];

/// What all rules find, and what it means that they found no way in.
pub fn findings(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let mut found: Vec<Finding> = RULES.iter().flat_map(|rule| rule(evidence, weights)).collect();
    found.extend(no_way_in::rule(evidence, &found, weights));
    if is_guest(evidence.state) {
        found.iter_mut().for_each(weigh_nothing_in_a_guest);
    }
    found
}

/// Whoever works on a virtual desktop does so from elsewhere, and no facilitator keeps one on a shelf: that it is worked on
/// from afar, and by what, says nothing, though policy may forbid it.
fn weigh_nothing_in_a_guest(finding: &mut Finding) {
    if finding.llr > 0.0 && matches!(finding.group, Group::RemoteControl | Group::Input) {
        (finding.llr, finding.honest_llr) = (0.0, 0.0);
    }
}

/// A finding of the rule `id` with the weights that the file gives it. Rules add technique, facts and policy:
/// `Finding { facts, ..finding(weights, "usb.known_kvm", Group::UsbHid, "kvm", why) }`.
///
/// An id without weights weighs nothing; a test holds every id in [`IDS`] against the file.
pub fn finding(
    weights: &Weights,
    id: &str,
    group: Group,
    cause: impl Into<String>,
    why: impl Into<String>,
) -> Finding {
    let (llr, honest_llr) = weights.rule.get(id).map_or((0.0, 0.0), |pair| (pair.farm, pair.honest));
    Finding {
        rule: id.to_owned(),
        technique: None,
        group,
        cause: cause.into(),
        llr,
        honest_llr,
        why: why.into(),
        facts: Vec::new(),
        policy: false,
    }
}

/// Whether IT sanctions a thing, by its fact's key or its serial number's hash.
pub(crate) fn is_sanctioned(context: &Context, key: &FactKey, serial: Option<&KeyedHash>) -> bool {
    let names = [Some(key.as_str()), serial.map(KeyedHash::as_str)];
    names.into_iter().flatten().any(|name| context.sanctioned_things.iter().any(|thing| thing == name))
}

/// Whether the laptop is a hypervisor's guest, whose screen and pointer are the hypervisor's.
fn is_guest(state: &State) -> bool {
    if let Some(host) = state.get::<Host>("self") {
        return host.hypervisor.is_some();
    }
    // A newer agent's fact: this much of it is read whatever the rest is.
    let host = state.value(&FactKey::of::<Host>("self"));
    host.and_then(|host| host.get("hypervisor")).is_some_and(Value::is_string)
}

fn has_trait(traits: &[String], name: &str) -> bool {
    traits.iter().any(|held| held == name)
}

/// The IP-KVM that a thing says it is.
fn known_kvm(traits: &[String]) -> Option<&str> {
    traits.iter().find_map(|held| held.strip_prefix("known_kvm:"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::facts::{FAMILIES, Isolation, Network, Session, UNJUDGED};

    #[test]
    fn every_rule_has_its_weights_and_every_weight_its_rule() {
        let used: BTreeSet<&str> = IDS.iter().copied().flatten().copied().collect();
        let weights = Weights::shipped();
        let listed: BTreeSet<&str> = weights.rule.keys().map(String::as_str).collect();
        assert_eq!(used, listed);
    }

    #[test]
    fn a_virtual_desktop_is_worked_on_from_elsewhere_by_whoever_has_it() {
        let weights = Weights::shipped();
        let weigh = |case: &zoo::Case| {
            let found = findings(&case.evidence(), &weights).into_iter();
            let afar = found.filter(|f| matches!(f.group, Group::RemoteControl | Group::Input));
            afar.fold((0.0, 0), |(sum, forbidden), f| {
                (sum + f.llr.max(0.0), forbidden + usize::from(f.policy))
            })
        };
        for mut case in zoo::cases() {
            let (before, forbidden) = weigh(&case);
            case.state.put("self", &Host { hypervisor: Some("kvm".into()), ..Host::default() });
            assert_eq!(weigh(&case), (0.0, forbidden), "{before} before");
        }
    }

    #[test]
    fn every_cause_of_several_groups_has_a_cap_and_every_cap_such_a_cause() {
        let weights = Weights::shipped();
        let found: Vec<Finding> =
            zoo::cases().iter().flat_map(|case| findings(&case.evidence(), &weights)).collect();
        let made: BTreeSet<&str> = found.iter().map(|finding| finding.rule.as_str()).collect();
        let all: BTreeSet<&str> = IDS.iter().copied().flatten().copied().collect();
        assert_eq!(made, all, "the zoo has a case for every finding");
        let mut groups: BTreeMap<&str, BTreeSet<Group>> = BTreeMap::new();
        for finding in &found {
            let kind = finding.cause.split(':').next().unwrap();
            groups.entry(kind).or_default().insert(finding.group);
        }
        let shared: BTreeSet<&str> =
            groups.iter().filter(|(_, of)| of.len() > 1).map(|(kind, _)| *kind).collect();
        let capped: BTreeSet<&str> = weights.cap.keys().map(String::as_str).collect();
        assert_eq!(shared, capped);
    }

    /// A rule cannot read a family without naming its type somewhere, so the names in the rules' text are what they read.
    #[test]
    fn what_rules_read_is_listed_and_somebody_is_judged_anew_for_it() {
        let families = [
            ("Host", Host::NAME),
            ("RemoteTool", RemoteTool::NAME),
            ("Session", Session::NAME),
            ("Display", Display::NAME),
            ("UsbDevice", UsbDevice::NAME),
            ("HidDevice", HidDevice::NAME),
            ("Network", Network::NAME),
            ("Power", Power::NAME),
            ("Locale", Locale::NAME),
            ("SensorStatus", SensorStatus::NAME),
            ("Isolation", Isolation::NAME),
        ];
        assert_eq!(families.map(|(_, name)| name), FAMILIES);
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
        let mut named = BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.extension().is_none_or(|is| is != "rs")
                || name == "mod.rs"
                || name.contains("test")
                || name == "zoo.rs"
            {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let rule = text.split("#[cfg(test)]").next().unwrap();
            let code = rule.lines().map(|line| line.split("//").next().unwrap_or_default());
            let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
            let words: BTreeSet<&str> = words.collect();
            named.extend(families.iter().filter(|(word, _)| words.contains(word)).map(|(_, name)| *name));
        }
        // Read in this file, for all of them.
        named.insert(Host::NAME);
        assert_eq!(named, BTreeSet::from(READ));
        assert!(READ.iter().all(|family| !UNJUDGED.contains(family)), "{UNJUDGED:?}");
    }

    #[test]
    fn a_new_laptop_is_found_nothing_of() {
        let case = testing::Case::default();
        assert_eq!(findings(&case.evidence(), &Weights::shipped()), vec![]);
    }
}
