use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::{Order, OrderResult};
use farmwatch_shared::sealed::{Envelope, Sealed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Result;

/// An order and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredOrder {
    /// For whom.
    pub device: DeviceId,
    /// What was signed.
    pub sealed: Sealed<Order>,
    /// As it goes to the device.
    #[serde(skip)]
    pub envelope: Envelope,
    /// Who gave it: a user's name, or `farmwatch`.
    pub actor: String,
    /// Where it stands.
    pub state: OrderState,
    /// The device's reason, where it failed or was refused.
    pub why: Option<String>,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// States of an order. Never optimistic: `Done` is what the device says it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Waits for the device to fetch it.
    Waiting,
    /// The device has fetched it.
    Fetched,
    /// The device says it is done.
    Done,
    /// The device says it failed.
    Failed,
    /// The device refused it.
    Refused,
    /// A newer order took its place, or its time ran out before it was fetched.
    Void,
}

/// Orders to devices.
#[async_trait]
pub trait Orders {
    /// Draws the next counter for orders to a device; no two calls get the same.
    ///
    /// Counters follow the clock (milliseconds), so that they go on above those that a laptop has seen when the store
    /// was restored from a backup, or when the laptop has become another device.
    async fn next_order_counter(&self, device: &DeviceId, now: Timestamp) -> Result<u64>;
    /// Orders for a device with a counter above `after` that are neither void nor past, oldest first; marks
    /// them fetched.
    async fn fetch_orders(&self, device: &DeviceId, after: u64, now: Timestamp) -> Result<Vec<StoredOrder>>;
    /// All orders to a device, newest first.
    async fn orders(&self, device: &DeviceId, limit: u32) -> Result<Vec<StoredOrder>>;
    /// One order.
    async fn order(&self, id: &OrderId) -> Result<Option<StoredOrder>>;
    /// What the device says became of an order of its own; false if it has no such order.
    async fn order_result(&self, device: &DeviceId, result: &OrderResult, now: Timestamp) -> Result<bool>;
    /// Devices with orders waiting that were written after a mark, and the new mark: so that collectors wake
    /// the connections that wait, whoever wrote the order. Marks start at 0.
    async fn orders_since(&self, mark: i64) -> Result<(Vec<DeviceId>, i64)>;
}
