use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use super::{Change, DeviceFilter, Page, Result, SharedStore};

/// Devices put on the queue at once.
const STEP: u32 = 500;

/// New windows and transitions alone are judged so long after the first of them, with all that came until then: habits
/// do not change within minutes. Assumption.
pub const WINDOWS_WAIT: SignedDuration = SignedDuration::from_hours(2);
/// The same where the laptop's own facts speak for a farm. Assumption.
pub const WINDOWS_WAIT_IN_DOUBT: SignedDuration = SignedDuration::from_mins(30);

/// A device that one caller has taken off the queue, to judge it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// Which.
    pub device: DeviceId,
    /// How many changes of it had been queued by then: what tells this taking from one after a later change.
    pub generation: u64,
}

/// The queue of devices to be judged anew, and the transaction that judging ends in.
#[async_trait]
pub trait Work {
    /// Takes up to `limit` devices that are to be judged now, longest due first, for this caller alone; they come back if
    /// [`Change::Done`] is not applied within a minute, and whoever is later than that finds his writes refused where it was
    /// taken again for a change since ([`super::StoreError::Late`]). Due at once is what a fact or an address changed, and later what only
    /// windows and transitions did.
    async fn take_work(&self, limit: u32, now: Timestamp) -> Result<Vec<Taken>>;
    /// Waits until there may be work: at once when this collector put some there, and in time for what others did.
    async fn wait_for_work(&self);
    /// How many devices one caller does well to judge at a time: more than one where most of the time goes by on the way
    /// to the store.
    fn at_once(&self) -> usize {
        1
    }
    /// Puts devices on the queue.
    async fn queue(&self, devices: &[DeviceId], now: Timestamp) -> Result<()>;
    /// How many devices wait that are to be judged by a time.
    async fn work_due(&self, by: Timestamp) -> Result<u64>;
    /// Applies changes in one transaction: all or none.
    async fn apply(&self, changes: Vec<Change>) -> Result<()>;
}

/// Puts all devices on the queue: something that all judgements rest on has changed. Gives how many there are.
pub async fn queue_all(store: &SharedStore, now: Timestamp) -> Result<usize> {
    let (mut page, mut count) = (Page::first(STEP), 0);
    loop {
        let devices = store.devices(&DeviceFilter::default(), &page).await?;
        let more = page.turn(&devices, |device| device.id.to_string());
        let ids: Vec<DeviceId> = devices.into_iter().map(|device| device.id).collect();
        store.queue(&ids, now).await?;
        count += ids.len();
        if !more {
            return Ok(count);
        }
    }
}
