//! The waterfall: an alert's sum of log-likelihood ratios, bar by bar, as an analyst reads it.

use serde::{Deserialize, Serialize};

use crate::id::DeviceId;
use crate::state::FactKey;

/// One summand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// A few words: the group's label, the kind of evidence about a place, or `prior`.
    pub label: String,
    /// Rule or evidence that it comes from; empty for the prior.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// What it adds in nats, after caps, to ln P(farm) / P(not farm) of the alert.
    pub llr: f64,
    /// For a device's findings: B, likewise after caps. `None` for what has no pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub honest_llr: Option<f64>,
    /// In one sentence.
    pub why: String,
    /// Whose facts, where the alert has several devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The facts behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FactKey>,
}
