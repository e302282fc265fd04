//! Names for things, each a type of its own so that none is taken for another.

use std::fmt;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What every such id begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from a time (milliseconds since 1970) and 80 random bits, both the caller's.
            pub fn new(unix_ms: u64, random: u128) -> Self {
                let ulid = ulid::Ulid::from_parts(unix_ms, random);
                Self(format!("{}{}", $prefix, ulid.to_string().to_ascii_lowercase()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                let rest = text.strip_prefix($prefix).unwrap_or_default();
                let fits = (1..=40).contains(&rest.len())
                    && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                if fits { Ok(Self(text)) } else { Err(InvalidId { wanted: $prefix }) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not an id: it should be `{wanted}` and then 1 to 40 letters, digits, `-` or `_`")]
pub struct InvalidId {
    wanted: &'static str,
}

id!(
    /// One company laptop, named by its enrolment.
    DeviceId, "dev_"
);
id!(
    /// An alert, of any kind.
    AlertId, "alr_"
);
id!(
    /// Devices that stand in one place.
    SiteId, "site_"
);
id!(
    /// A signed instruction to a device.
    OrderId, "ord_"
);

/// The key with which an agent hashes serials, gateways and accounts before they leave the laptop.
///
/// It is the same for all laptops of a tenant, so that two of them can be found to share a dock, and unknown
/// to others. The collector hashes once more with a key of its own before it stores anything.
#[derive(Clone)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// Wraps 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Hashes a value of one kind. The kind keeps a serial and a gateway of the same spelling apart.
    pub fn hash(&self, kind: &str, value: &str) -> KeyedHash {
        #[allow(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("any key length");
        mac.update(kind.as_bytes());
        mac.update(&[0]);
        mac.update(value.as_bytes());
        KeyedHash(hex::encode(&mac.finalize().into_bytes()[..16]))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(…)")
    }
}

/// HMAC-SHA-256, first 128 bits, as 32 hex digits: tells equal from different and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyedHash(String);

impl KeyedHash {
    /// The hash as hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes the hash as it came over the wire; anything else than 32 hex digits is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        fits.then(|| Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_kind() {
        let device = DeviceId::new(1_790_000_000_000, 7);
        assert!(device.as_str().starts_with("dev_"));
        assert!(AlertId::try_from(device.to_string()).is_err());
        assert_eq!(DeviceId::try_from(device.to_string()).unwrap(), device);
    }

    #[test]
    fn a_serial_and_a_gateway_of_one_spelling_hash_apart() {
        let key = HashKey::new([1; 32]);
        assert_ne!(key.hash("serial", "1"), key.hash("gateway", "1"));
        assert_eq!(key.hash("serial", "1"), key.hash("serial", "1"));
        assert_ne!(key.hash("serial", "1"), HashKey::new([2; 32]).hash("serial", "1"));
    }
}
