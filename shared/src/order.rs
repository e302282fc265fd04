//! Orders: signed instructions to one device.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::OrderId;
use crate::sealed::Purpose;

/// A signed instruction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Its id, which the answer carries.
    pub id: OrderId,
    /// When it was given.
    pub issued_at: Timestamp,
    /// What to do.
    #[serde(flatten)]
    pub kind: OrderKind,
}

impl Purpose for Order {
    const WORD: &'static str = "order";
    const DEVICE_BOUND: bool = true;
}

/// Kinds of orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OrderKind {
    /// Drop all traffic but the collector's and what policy allows.
    Isolate {
        /// It ends by itself then.
        until: Timestamp,
        /// Why, for the audit and the log.
        reason: String,
    },
    /// End an isolation.
    Release {
        /// Why, for the audit and the log.
        reason: String,
    },
    /// Send the whole state and say that you live.
    Challenge,
}

/// What became of an order, as the device tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderResult {
    /// Which order; `None` if it could not even be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// `done`, `failed`, or `refused`.
    pub outcome: Outcome,
    /// Why it failed or was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Outcomes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Carried out, and seen to be so.
    Done,
    /// Tried, and it did not work.
    Failed,
    /// Not tried: signature, time, device or counter did not fit.
    Refused,
}
