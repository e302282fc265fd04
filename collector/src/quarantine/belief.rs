//! What is believed of a laptop's isolation: what was ordered, what became of the order, what the laptop says.

use farmwatch_shared::facts::{Isolation, IsolationState};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::order::OrderKind;
use jiff::Timestamp;
use serde::Serialize;

use crate::app::App;
use crate::store::{OrderState, Result, StoredOrder};

/// What is believed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Belief {
    /// Where it stands.
    pub stage: Stage,
    /// In a sentence.
    pub words: String,
    /// What was ordered and what the laptop says differ: how.
    pub drift: Option<String>,
    /// When the isolation ends by itself, where one is wanted or in force.
    pub until: Option<Timestamp>,
}

/// Stages of an isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Connected, and nothing else is wanted.
    Connected,
    /// Isolation is ordered; the laptop has not said that it is done.
    Isolating,
    /// The laptop says that it is isolated.
    Isolated,
    /// The laptop says that it is isolated; its release is ordered.
    Releasing,
    /// The last order failed or was refused.
    Failed,
}

impl Stage {
    /// An isolation is ordered or in force.
    pub fn is_isolation(self) -> bool {
        matches!(self, Self::Isolating | Self::Isolated | Self::Releasing)
    }

    /// As people read it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Isolating => "isolating",
            Self::Isolated => "isolated",
            Self::Releasing => "releasing",
            Self::Failed => "order failed",
        }
    }
}

/// What is believed of a device now.
pub async fn status(app: &App, device: &DeviceId, now: Timestamp) -> Result<Belief> {
    let orders = app.store.orders(device, 20).await?;
    let state = app.store.state(device).await?;
    Ok(belief(&orders, state.get::<Isolation>("self"), now))
}

/// What is believed. `orders` are the device's, newest first; `says` is its own fact.
pub fn belief(orders: &[StoredOrder], says: Option<&Isolation>, now: Timestamp) -> Belief {
    let last = orders.iter().find(|o| !matches!(o.sealed.content.kind, OrderKind::Challenge));
    let in_force = says.is_some_and(|s| s.state == IsolationState::Isolated);
    let told = |stage, words: String, until| Belief { stage, words, drift: None, until };
    let says_until = says.and_then(|s| s.until);
    let Some(order) = last else {
        return if in_force {
            drifted(Stage::Isolated, "isolated, and no order of ours says so", says_until)
        } else {
            told(Stage::Connected, "connected".into(), None)
        };
    };
    let why = order.why.as_deref().unwrap_or("without a reason");
    let pending = matches!(order.state, OrderState::Waiting | OrderState::Fetched);
    let past = pending && order.sealed.expires_at <= now;
    match &order.sealed.content.kind {
        OrderKind::Isolate { until, .. } => match (order.state, in_force) {
            _ if *until <= now && in_force => {
                drifted(Stage::Isolated, "still isolated, though the isolation's time is over", says_until)
            }
            _ if *until <= now || past => {
                told(Stage::Connected, "connected; the isolation's time is over".into(), None)
            }
            (OrderState::Failed | OrderState::Refused, _) => {
                told(Stage::Failed, format!("not isolated: {why}"), None)
            }
            (_, true) => told(Stage::Isolated, "isolated, as the laptop says".into(), Some(*until)),
            (OrderState::Waiting, false) => told(
                Stage::Isolating,
                "isolation ordered; the laptop has not fetched the order".into(),
                Some(*until),
            ),
            (OrderState::Fetched, false) => told(
                Stage::Isolating,
                "isolation ordered; the laptop has the order and has not said that it is done".into(),
                Some(*until),
            ),
            (OrderState::Done, false) if says.is_some_and(|s| s.state == IsolationState::Released) => {
                drifted(
                    Stage::Connected,
                    "connected, though isolation was ordered and done: released on the laptop",
                    None,
                )
            }
            (OrderState::Done, false) => told(
                Stage::Isolating,
                "the laptop says that the order is done; its firewall's state has not arrived yet".into(),
                Some(*until),
            ),
            (OrderState::Void, false) => {
                told(Stage::Connected, "connected; the order became void".into(), None)
            }
        },
        OrderKind::Release { .. } => match (order.state, in_force) {
            (_, false) => told(Stage::Connected, "connected".into(), None),
            (OrderState::Failed | OrderState::Refused, true) => {
                told(Stage::Failed, format!("still isolated: {why}"), says_until)
            }
            (OrderState::Done, true) => {
                drifted(Stage::Isolated, "still isolated, though the release is done", says_until)
            }
            (_, true) => {
                told(Stage::Releasing, "release ordered; the laptop is isolated still".into(), says_until)
            }
        },
        OrderKind::Challenge => told(Stage::Connected, "connected".into(), None),
    }
}

fn drifted(stage: Stage, words: &str, until: Option<Timestamp>) -> Belief {
    Belief { stage, words: words.to_owned(), drift: Some(words.to_owned()), until }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::id::OrderId;
    use farmwatch_shared::order::Order;
    use farmwatch_shared::sealed::{Envelope, Sealed};

    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + hour * 3600).unwrap()
    }

    fn order(kind: OrderKind, state: OrderState) -> StoredOrder {
        let content = Order { id: OrderId::new(1, 1), issued_at: at(0), kind };
        StoredOrder {
            device: DeviceId::new(1, 1),
            sealed: Sealed { counter: 1, expires_at: at(168), device: None, content },
            envelope: Envelope { payload: String::new(), signature: String::new() },
            actor: "ana".into(),
            state,
            why: Some("nft is missing".into()),
            updated_at: at(0),
        }
    }

    fn isolate(state: OrderState) -> StoredOrder {
        order(OrderKind::Isolate { until: at(24), reason: "farm".into() }, state)
    }

    fn stage(orders: &[StoredOrder], says: impl Into<Option<IsolationState>>, hour: i64) -> (Stage, bool) {
        let says = says.into();
        let says = says.map(|state| Isolation { state, order: None, until: Some(at(24)), error: None });
        let belief = belief(orders, says.as_ref(), at(hour));
        (belief.stage, belief.drift.is_some())
    }

    #[test]
    fn nothing_is_believed_before_the_laptop_says_so() {
        assert_eq!(stage(&[], None, 1), (Stage::Connected, false));
        assert_eq!(stage(&[isolate(OrderState::Waiting)], None, 1), (Stage::Isolating, false));
        assert_eq!(stage(&[isolate(OrderState::Fetched)], None, 1), (Stage::Isolating, false));
        assert_eq!(stage(&[isolate(OrderState::Done)], None, 1), (Stage::Isolating, false));
        let done = [isolate(OrderState::Done)];
        assert_eq!(stage(&done, IsolationState::Isolated, 1), (Stage::Isolated, false));
        assert_eq!(stage(&[isolate(OrderState::Failed)], None, 1), (Stage::Failed, false));
    }

    #[test]
    fn a_release_is_believed_when_the_firewall_is_open() {
        let release = order(OrderKind::Release { reason: "cleared".into() }, OrderState::Done);
        let both = [release, isolate(OrderState::Done)];
        assert_eq!(stage(&both, IsolationState::Released, 1), (Stage::Connected, false));
        assert_eq!(stage(&both, IsolationState::Isolated, 1), (Stage::Isolated, true));
    }

    #[test]
    fn drift_is_shown() {
        assert_eq!(stage(&[], IsolationState::Isolated, 1), (Stage::Isolated, true));
        let done = [isolate(OrderState::Done)];
        assert_eq!(stage(&done, IsolationState::Released, 1), (Stage::Connected, true));
        assert_eq!(stage(&done, IsolationState::Isolated, 25), (Stage::Isolated, true));
        assert_eq!(stage(&done, IsolationState::Released, 25), (Stage::Connected, false));
    }
}
