//! Ways of cutting a laptop off: one file each.
//!
//! A connector turns what is wanted into writes. None says that it is done: that is for the laptop, or the
//! vendor's service, to say later.

mod built_in;

pub use built_in::BuiltIn;

use async_trait::async_trait;
use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;

use crate::app::App;
use crate::store::StoredOrder;

/// What is wanted of a laptop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Cut off until then.
    Isolated {
        /// It ends by itself then.
        until: Timestamp,
    },
    /// Connected again.
    Released,
}

/// A way of cutting laptops off.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Its name in the audit.
    fn name(&self) -> &'static str;

    /// Draws up the order for what is wanted; the caller writes it together with its reasons.
    async fn order(
        &self,
        app: &App,
        device: &DeviceId,
        wanted: &Wanted,
        reason: &str,
        actor: &str,
        now: Timestamp,
    ) -> anyhow::Result<StoredOrder>;
}
