//! The built-in connector: a signed order, and the agent's own firewall.

use async_trait::async_trait;
use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::{Order, OrderKind};
use farmwatch_shared::sealed::{Sealed, seal};
use jiff::{SignedDuration, Timestamp};

use super::{Connector, Wanted};
use crate::app::App;
use crate::store::{OrderState, StoredOrder};

/// An order that a laptop has not fetched by then is void: it may have been switched off for weeks, and nobody
/// remembers why it should be cut off.
const ORDER_LIVES: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A laptop that was cut off and then switched off must still be releasable when it comes back.
const RELEASE_LIVES: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The built-in connector.
pub struct BuiltIn;

#[async_trait]
impl Connector for BuiltIn {
    fn name(&self) -> &'static str {
        "built-in"
    }

    async fn order(
        &self,
        app: &App,
        device: &DeviceId,
        wanted: &Wanted,
        reason: &str,
        actor: &str,
        now: Timestamp,
    ) -> anyhow::Result<StoredOrder> {
        let reason = reason.to_owned();
        let (kind, expires_at) = match wanted {
            Wanted::Isolated { until } => {
                (OrderKind::Isolate { until: *until, reason }, (*until).min(now + ORDER_LIVES))
            }
            Wanted::Released => (OrderKind::Release { reason }, now + RELEASE_LIVES),
        };
        let id = OrderId::new(u64::try_from(now.as_millisecond()).unwrap_or(0), (app.draw)());
        let sealed = Sealed {
            counter: app.store.next_order_counter(device, now).await?,
            expires_at,
            device: Some(device.clone()),
            content: Order { id, issued_at: now, kind },
        };
        Ok(StoredOrder {
            device: device.clone(),
            envelope: seal(&app.order_key, &sealed)?,
            sealed,
            actor: actor.to_owned(),
            state: OrderState::Waiting,
            why: None,
            updated_at: now,
        })
    }
}
