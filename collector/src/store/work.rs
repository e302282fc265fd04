use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;

use super::{Change, Result};

/// The queue of devices to be judged anew, and the transaction that judging ends in.
#[async_trait]
pub trait Work {
    /// Takes up to `limit` devices that changed, oldest first, for this caller alone; they come back if
    /// [`Change::Done`] is not applied within a minute.
    async fn take_work(&self, limit: u32, now: Timestamp) -> Result<Vec<DeviceId>>;
    /// Waits until there may be work: at once when this collector put some there, and in time for what others did.
    async fn wait_for_work(&self);
    /// Puts devices on the queue.
    async fn queue(&self, devices: &[DeviceId], now: Timestamp) -> Result<()>;
    /// How many devices wait.
    async fn work_waiting(&self) -> Result<u64>;
    /// Applies changes in one transaction: all or none.
    async fn apply(&self, changes: Vec<Change>) -> Result<()>;
}
