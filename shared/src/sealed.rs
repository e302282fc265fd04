//! What the collector signs: orders, policy, catalogue.
//!
//! An envelope carries the payload's bytes exactly as they were signed (ed25519), so that nothing has to be
//! written again in one canonical way to be checked. A word for the purpose goes under the signature: a
//! policy can never pass as an order.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::DeviceId;

/// A payload and its signature, both in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The bytes that were signed: JSON of a [`Sealed`].
    pub payload: String,
    /// The signature.
    pub signature: String,
}

/// What every signed payload says beside its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sealed<T> {
    /// Grows with each thing of this purpose that is signed for this device: what is not above the last one
    /// taken is a replay.
    pub counter: u64,
    /// Nobody acts on it after this.
    pub expires_at: Timestamp,
    /// For this device alone; `None` is for all (policy and catalogue, never orders).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The content.
    pub content: T,
}

/// What can be signed, and the word that goes under the signature.
pub trait Purpose: Serialize + DeserializeOwned {
    /// The word.
    const WORD: &'static str;
    /// It must name the device.
    const DEVICE_BOUND: bool;
}

/// Why a signed thing is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not an envelope, or its payload is not what it should be.
    #[error("unreadable: {0}")]
    Unreadable(String),
    /// Not signed by the collector.
    #[error("bad signature")]
    BadSignature,
    /// Too late.
    #[error("expired at {0}")]
    Expired(Timestamp),
    /// For another device, or for none where one must be named.
    #[error("for another device")]
    OtherDevice,
    /// Taken before, or older than what was taken.
    #[error("replayed: counter {counter} is not above {last}")]
    Replayed {
        /// Its counter.
        counter: u64,
        /// The last one taken.
        last: u64,
    },
}

impl Refusal {
    /// One word for metrics and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::BadSignature => "bad_signature",
            Self::Expired(_) => "expired",
            Self::OtherDevice => "other_device",
            Self::Replayed { .. } => "replayed",
        }
    }
}

fn signed_bytes(word: &str, payload: &[u8]) -> Vec<u8> {
    [b"farmwatch/", word.as_bytes(), b"/v1\0", payload].concat()
}

/// Signs a payload.
pub fn seal<T: Purpose>(key: &SigningKey, sealed: &Sealed<T>) -> Result<Envelope, serde_json::Error> {
    let payload = serde_json::to_vec(sealed)?;
    let signature = key.sign(&signed_bytes(T::WORD, &payload));
    Ok(Envelope { payload: STANDARD.encode(payload), signature: STANDARD.encode(signature.to_bytes()) })
}

/// Checks a signature, whom it is for, its time and its counter, in this order, and gives the content.
///
/// `last` is the counter of the last thing of this purpose that was taken; 0 before the first.
pub fn open<T: Purpose>(
    key: &VerifyingKey,
    envelope: &Envelope,
    device: &DeviceId,
    last: u64,
    now: Timestamp,
) -> Result<Sealed<T>, Refusal> {
    let decode = |text: &str| STANDARD.decode(text).map_err(|e| Refusal::Unreadable(e.to_string()));
    let payload = decode(&envelope.payload)?;
    let signature =
        Signature::from_slice(&decode(&envelope.signature)?).map_err(|_| Refusal::BadSignature)?;
    key.verify_strict(&signed_bytes(T::WORD, &payload), &signature).map_err(|_| Refusal::BadSignature)?;
    let sealed: Sealed<T> =
        serde_json::from_slice(&payload).map_err(|e| Refusal::Unreadable(e.to_string()))?;
    let for_us = sealed.device.as_ref().map_or(!T::DEVICE_BOUND, |named| named == device);
    if !for_us {
        return Err(Refusal::OtherDevice);
    }
    if sealed.expires_at <= now {
        return Err(Refusal::Expired(sealed.expires_at));
    }
    if sealed.counter <= last {
        return Err(Refusal::Replayed { counter: sealed.counter, last });
    }
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{Order, OrderKind};
    use crate::policy::AgentPolicy;

    fn order(counter: u64, device: &DeviceId) -> Sealed<Order> {
        let content = Order {
            id: crate::id::OrderId::new(1, 1),
            issued_at: Timestamp::UNIX_EPOCH,
            kind: OrderKind::Release { reason: "cleared".into() },
        };
        let expires_at = Timestamp::from_second(1000).unwrap();
        Sealed { counter, expires_at, device: Some(device.clone()), content }
    }

    #[test]
    fn an_order_is_taken_once_in_time_by_its_device_with_the_right_key() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key();
        let (us, them) = (DeviceId::new(1, 1), DeviceId::new(1, 2));
        let now = Timestamp::from_second(10).unwrap();
        let envelope = seal(&key, &order(5, &us)).unwrap();

        assert_eq!(open::<Order>(&public, &envelope, &us, 4, now).unwrap().counter, 5);
        let refused = |r: Result<Sealed<Order>, Refusal>| r.unwrap_err();
        assert_eq!(refused(open(&public, &envelope, &us, 5, now)), Refusal::Replayed { counter: 5, last: 5 });
        assert_eq!(refused(open(&public, &envelope, &them, 4, now)), Refusal::OtherDevice);
        let late = Timestamp::from_second(1000).unwrap();
        assert_eq!(refused(open(&public, &envelope, &us, 4, late)).word(), "expired");
        let other = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert_eq!(refused(open(&other, &envelope, &us, 4, now)), Refusal::BadSignature);
        let mut unnamed = order(5, &us);
        unnamed.device = None;
        let unnamed = seal(&key, &unnamed).unwrap();
        assert_eq!(refused(open(&public, &unnamed, &us, 4, now)), Refusal::OtherDevice);
    }

    #[test]
    fn a_policy_never_passes_as_an_order() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let us = DeviceId::new(1, 1);
        let envelope = seal(&key, &order(5, &us)).unwrap();
        let taken = open::<AgentPolicy>(&key.verifying_key(), &envelope, &us, 0, Timestamp::UNIX_EPOCH);
        assert_eq!(taken.unwrap_err(), Refusal::BadSignature);
    }
}
