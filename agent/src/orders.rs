//! Orders: which are taken, which are refused, and what the collector is still to be told of them.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use ed25519_dalek::VerifyingKey;
use farmwatch_shared::id::{DeviceId, OrderId};
use farmwatch_shared::order::{Order, OrderResult, Outcome};
use farmwatch_shared::sealed::{self, Envelope, Sealed};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::{self, Readers};

/// Refused envelopes that are remembered, so that each is answered once.
const MAX_REFUSED: usize = 32;
/// Answers that wait; older ones go.
const MAX_RESULTS: usize = 64;

/// The desk on which orders land. What it knows survives restarts.
#[derive(Debug)]
pub struct Desk {
    path: PathBuf,
    saved: Saved,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    counter: u64,
    results: Vec<OrderResult>,
    refused: Vec<String>,
}

impl Desk {
    /// Reads what earlier runs knew.
    pub fn read(state: &Path) -> anyhow::Result<Self> {
        let path = state.join("orders.json");
        Ok(Self { saved: files::read_json(&path)?.unwrap_or_default(), path })
    }

    /// Counter of the last order that was taken.
    pub fn counter(&self) -> u64 {
        self.saved.counter
    }

    /// Opens an order. One that is refused is remembered and its answer waits for the collector; gives the
    /// reason the first time and nothing when it comes again.
    pub fn open(
        &mut self,
        envelope: &Envelope,
        key: &VerifyingKey,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<Sealed<Order>, Option<String>> {
        let refusal = match sealed::open::<Order>(key, envelope, device, self.saved.counter, now) {
            Ok(sealed) => return Ok(sealed),
            Err(refusal) => refusal,
        };
        if self.saved.refused.contains(&envelope.signature) {
            return Err(None);
        }
        self.saved.refused.push(envelope.signature.chars().take(128).collect());
        let extra = self.saved.refused.len().saturating_sub(MAX_REFUSED);
        self.saved.refused.drain(..extra);
        let why = format!("{}: {refusal}", refusal.word());
        let order = claimed_id(envelope);
        self.tell(OrderResult { order, outcome: Outcome::Refused, why: Some(why.clone()) });
        Err(Some(why))
    }

    /// An order was carried out or failed; its answer waits for the collector.
    pub fn answered(&mut self, counter: u64, result: OrderResult) {
        self.saved.counter = self.saved.counter.max(counter);
        self.tell(result);
    }

    /// Adds an answer.
    pub fn tell(&mut self, result: OrderResult) {
        self.saved.results.push(result);
        let extra = self.saved.results.len().saturating_sub(MAX_RESULTS);
        self.saved.results.drain(..extra);
        self.save();
    }

    /// The oldest answer that waits.
    pub fn next_result(&self) -> Option<&OrderResult> {
        self.saved.results.first()
    }

    /// The oldest answer is the collector's now, or it will never take it.
    pub fn result_delivered(&mut self) {
        if !self.saved.results.is_empty() {
            self.saved.results.remove(0);
            self.save();
        }
    }

    /// The device has another name: its orders begin anew.
    pub fn start_over(&mut self) {
        self.saved = Saved::default();
        self.save();
    }

    /// Orders are idempotent, so one that comes again after a crash because this could not be written does no
    /// harm.
    fn save(&self) {
        if let Err(error) = files::write_json(&self.path, &self.saved, Readers::Agent) {
            tracing::warn!("{error:#}");
        }
    }
}

/// The id that a refused order claims, so that its page can show the refusal.
fn claimed_id(envelope: &Envelope) -> Option<OrderId> {
    let payload = base64::engine::general_purpose::STANDARD.decode(&envelope.payload).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    value["content"]["id"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use farmwatch_shared::order::OrderKind;

    use super::*;

    #[test]
    fn a_refused_order_is_answered_once_with_its_id_and_the_next_good_one_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (key, device) = (SigningKey::from_bytes(&[7; 32]), DeviceId::new(1, 1));
        let (public, now) = (key.verifying_key(), Timestamp::UNIX_EPOCH);
        let order = |key: &SigningKey, counter, id| {
            let content = Order { id: OrderId::new(1, id), issued_at: now, kind: OrderKind::Challenge };
            let expires_at = Timestamp::from_second(1000).unwrap();
            sealed::seal(key, &Sealed { counter, expires_at, device: Some(device.clone()), content }).unwrap()
        };
        let forged = order(&SigningKey::from_bytes(&[8; 32]), 9, 9);
        let mut desk = Desk::read(dir.path()).unwrap();
        let why = desk.open(&forged, &public, &device, now).unwrap_err().unwrap();
        assert_eq!(why, "bad_signature: bad signature");
        assert_eq!(desk.open(&forged, &public, &device, now).unwrap_err(), None);

        let good = desk.open(&order(&key, 1, 1), &public, &device, now).unwrap();
        desk.answered(
            good.counter,
            OrderResult { order: Some(good.content.id), outcome: Outcome::Done, why: None },
        );
        let mut desk = Desk::read(dir.path()).unwrap();
        assert_eq!(desk.counter(), 1);
        assert_eq!(desk.next_result().unwrap().order, Some(OrderId::new(1, 9)));
        desk.result_delivered();
        assert_eq!(desk.next_result().unwrap().outcome, Outcome::Done);
        assert!(desk.open(&order(&key, 1, 1), &public, &device, now).is_err(), "replayed");
    }
}
