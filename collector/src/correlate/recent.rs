//! What the correlator remembers to save work. It may be lost at any time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::state::Digest;
use jiff::{SignedDuration, Timestamp};

use crate::store::{Device, Standing};

/// Windows alone are judged again after so long: habits do not change within minutes, and reading two weeks of
/// them is dear.
const WINDOWS_WAIT: SignedDuration = SignedDuration::from_mins(30);
/// Most devices remembered.
const MOST: usize = 1_000_000;

/// When each device was judged last, and on what.
#[derive(Debug, Default)]
pub struct Recent(Mutex<HashMap<DeviceId, Judged>>);

#[derive(Debug)]
struct Judged {
    at: Timestamp,
    digest: Digest,
    address: Option<IpAddr>,
    standing: Standing,
    known: u64,
    audit: i64,
}

impl Recent {
    /// The device's facts and address, what IT has said (`known` is its fingerprint) and the last entry of the audit
    /// about the device are those that it was judged on lately: only windows can be new.
    pub fn knows(&self, device: &Device, known: u64, audit: i64, now: Timestamp) -> bool {
        self.lock().get(&device.id).is_some_and(|judged| {
            judged.digest == device.digest
                && judged.address == device.public_address
                && judged.standing == device.standing
                && judged.known == known
                && judged.audit == audit
                && judged.at <= now
                && judged.at + WINDOWS_WAIT > now
        })
    }

    /// The device is judged.
    pub fn remember(&self, device: &Device, known: u64, audit: i64, now: Timestamp) {
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        let judged = Judged {
            at: now,
            digest: device.digest,
            address: device.public_address,
            standing: device.standing,
            known,
            audit,
        };
        all.insert(device.id.clone(), judged);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceId, Judged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
