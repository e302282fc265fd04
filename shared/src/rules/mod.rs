//! Rules: pure functions from what is known of one device to findings. One file per evidence group.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::facts::{Transition, Window};
use crate::finding::{Finding, Group};
use crate::state::State;
use crate::weights::Weights;

/// What is known of one device when it is judged. Everything but the state may be missing: on the laptop
/// itself, nobody knows its public address.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Its facts.
    pub state: &'a State,
    /// Its activity windows, oldest first.
    pub windows: &'a [Window],
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
    /// Seconds that the agent has been silent while the laptop was seen elsewhere; 0 if not.
    pub silent_seconds: u64,
}

/// A rule.
pub type Rule = fn(&Evidence<'_>, &Weights) -> Vec<Finding>;

/// All rules. To add one: a file, a line here, its weights in `weights.toml`.
pub const RULES: &[Rule] = &[];

/// Ids of all findings that the rules can make; each has its weights in `weights.toml`.
pub const IDS: &[&[&str]] = &[];

/// What all rules find.
pub fn findings(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule(evidence, weights)).collect()
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
