//! What the correlator remembers to save work. It may be lost at any time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

use crate::store::Glance;

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
    on: Glance,
    known: u64,
}

impl Recent {
    /// The device's facts and address, what IT has said (`known` is its fingerprint) and the last entry of the audit
    /// about the device are those that it was judged on lately: only windows can be new.
    pub fn knows(&self, device: &DeviceId, now_is: &Glance, known: u64, now: Timestamp) -> bool {
        self.lock().get(device).is_some_and(|judged| {
            judged.on == *now_is
                && judged.known == known
                && judged.at <= now
                && judged.at + WINDOWS_WAIT > now
        })
    }

    /// The device is judged.
    pub fn remember(&self, device: &DeviceId, on: Glance, known: u64, now: Timestamp) {
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(device.clone(), Judged { at: now, on, known });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceId, Judged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
