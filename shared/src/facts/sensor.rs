use serde::{Deserialize, Serialize};

use super::Family;

/// What a sensor says of itself. Key: `sensor/<its name>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SensorStatus {
    /// Its state.
    pub state: SensorState,
    /// In words, where the state is not `ok`: what is missing and what would mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Family for SensorStatus {
    const NAME: &'static str = "sensor";
}

impl SensorStatus {
    /// All is well.
    pub fn ok() -> Self {
        Self { state: SensorState::Ok, reason: None }
    }

    /// Not well, and why.
    pub fn new(state: SensorState, reason: impl Into<String>) -> Self {
        Self { state, reason: Some(reason.into()) }
    }
}

/// States of a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorState {
    /// It sees.
    Ok,
    /// This machine or system has no such thing.
    NotSupported,
    /// The agent lacks the right to look.
    NotPermitted,
    /// It should see and does not: broken, lied to, or stopped.
    Blind,
    /// IT's policy has it off.
    OffByPolicy,
    /// A state that a newer agent knows.
    #[serde(other)]
    Other,
}
