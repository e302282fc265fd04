//! Findings: what a rule concludes from a device's facts.

use serde::{Deserialize, Serialize};

use crate::state::FactKey;

/// What a rule concluded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id: `usb.known_kvm`. It is the key of the rule's weights.
    pub rule: String,
    /// MITRE ATT&CK technique (v17): `T1219.003`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub technique: Option<String>,
    /// Which question it answers.
    pub group: Group,
    /// What in the world is behind it: findings with one cause share one cap. `tool:anydesk`, `kvm`, `hands`;
    /// the list is in [`crate::rules`].
    pub cause: String,
    /// Λ: ln P(fact | farm-operated) / P(fact | own hands).
    pub llr: f64,
    /// B: ln P(fact | honest remote) / P(fact | own hands).
    pub honest_llr: f64,
    /// In one sentence, for somebody who has a minute.
    pub why: String,
    /// The facts it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FactKey>,
    /// IT forbids it as such, whatever the probability: it makes a policy alert of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub policy: bool,
}

/// Evidence groups: within each only the strongest for and the strongest against count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Remote-access software.
    RemoteControl,
    /// Whose hands are at the laptop.
    Hands,
    /// How input arrives.
    Input,
    /// What it is shown on.
    Display,
    /// What hangs on it.
    UsbHid,
    /// Where its traffic comes from.
    NetworkOrigin,
    /// Where it stands.
    Place,
    /// Time zone, and where IT asks for it language.
    Locale,
    /// Mains, battery, sleep.
    Power,
    /// Sensors and the agent itself.
    Hygiene,
}

impl Group {
    /// As people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::RemoteControl => "Remote control",
            Self::Hands => "Hands",
            Self::Input => "Input",
            Self::Display => "Display",
            Self::UsbHid => "USB and input devices",
            Self::NetworkOrigin => "Network origin",
            Self::Place => "Place",
            Self::Locale => "Locale",
            Self::Power => "Power",
            Self::Hygiene => "Sensors",
        }
    }
}
