use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Family;
use crate::id::OrderId;

/// Whether the laptop has cut itself off, as it stands in its own firewall. One fact, key `isolation/self`;
/// absent where it was never isolated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Isolation {
    /// The state.
    pub state: IsolationState,
    /// The order that led here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Where it failed: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Family for Isolation {
    const NAME: &'static str = "isolation";
}

/// States of isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IsolationState {
    /// All traffic but the collector's and what policy allows is dropped.
    Isolated,
    /// It was isolated and is no longer.
    Released,
    /// It was told to and cannot; the reason stands beside it.
    Failed,
    /// A state that a newer agent knows.
    #[serde(other)]
    Other,
}
