//! Who may come in: bounded work in flight, and fair between devices.
//!
//! A body takes room from before its first byte is read until its reports are written; past [`ROOM_KIB`], agents are told
//! to come again later: their spools are the buffer. An agent has one body on its way, a second while it has given up on
//! the first; so a device that opens more connections wins nothing by it. While room runs short, who has something in
//! flight waits for that, and what is left is for the small.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use farmwatch_shared::id::DeviceId;
use metrics::{Gauge, gauge};
use tokio::sync::{Semaphore, SemaphorePermit};

/// KiB of bodies, as they came and then unpacked, that may be in flight.
pub const ROOM_KIB: usize = 64 << 10;
/// Bodies that one device may have in flight.
const MOST: u32 = 2;
/// KiB from which on a body is large.
const LARGE_KIB: u32 = 256;

/// Seconds after which who is turned away should come again, at least and at most. Each gets another number, so that those
/// who were turned away together do not come back together.
const COME_AGAIN: (u64, u64) = (10, 30);

/// What is in flight.
pub struct Admission {
    room: Semaphore,
    devices: Mutex<HashMap<DeviceId, u32>>,
    bodies: Gauge,
    kib: Gauge,
}

/// Why somebody is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// As much is in flight as may be.
    Full,
    /// This device has its share in flight.
    Busy,
}

impl Turned {
    /// One word for metrics and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Busy => "device_busy",
        }
    }

    /// A sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Full => "more waits to be written than the collector takes; come again later",
            Self::Busy => {
                "reports of this device are being taken on other connections; wait for their answers"
            }
        }
    }
}

/// A body's place. What it holds is free again when it is dropped.
pub struct Place<'a> {
    admission: &'a Admission,
    device: DeviceId,
    kib: u32,
    permit: SemaphorePermit<'a>,
}

impl Admission {
    /// With nothing in flight.
    pub fn new() -> Self {
        Self {
            room: Semaphore::new(ROOM_KIB),
            devices: Mutex::default(),
            bodies: gauge!("farmwatch_ingest_bodies_in_flight"),
            kib: gauge!("farmwatch_ingest_in_flight_kibibytes"),
        }
    }

    /// Lets a body of so many bytes in.
    pub fn enter(&self, device: &DeviceId, bytes: usize) -> Result<Place<'_>, Turned> {
        let kib = kib(bytes);
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let there = devices.get(device).copied().unwrap_or(0);
        let short = self.room.available_permits() < ROOM_KIB / 2;
        if there >= MOST || (short && there > 0) {
            return Err(Turned::Busy);
        }
        let permit = self.take(kib)?;
        devices.insert(device.clone(), there + 1);
        drop(devices);
        self.bodies.increment(1.0);
        self.kib.increment(f64::from(kib));
        Ok(Place { admission: self, device: device.clone(), kib, permit })
    }

    fn take(&self, kib: u32) -> Result<SemaphorePermit<'_>, Turned> {
        if kib > LARGE_KIB && self.room.available_permits() < ROOM_KIB / 4 {
            return Err(Turned::Full);
        }
        self.room.try_acquire_many(kib).map_err(|_| Turned::Full)
    }
}

impl Place<'_> {
    /// It turned out to be of so many bytes.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Turned> {
        let more = kib(bytes).saturating_sub(self.kib);
        if more > 0 {
            self.permit.merge(self.admission.take(more)?);
            self.kib += more;
            self.admission.kib.increment(f64::from(more));
        }
        Ok(())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.admission.bodies.decrement(1.0);
        self.admission.kib.decrement(f64::from(self.kib));
        let mut devices = self.admission.devices.lock().unwrap_or_else(PoisonError::into_inner);
        match devices.get_mut(&self.device) {
            Some(there) if *there > 1 => *there -= 1,
            _ => drop(devices.remove(&self.device)),
        }
    }
}

/// Seconds after which to come again, by a number drawn at random.
pub fn come_again(random: u128) -> u64 {
    let (least, most) = COME_AGAIN;
    least + u64::try_from(random % u128::from(most - least + 1)).unwrap_or(0)
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn device(n: u128) -> DeviceId {
        DeviceId::new(1_790_000_000_000, n)
    }

    fn turned(entered: Result<Place<'_>, Turned>) -> Turned {
        entered.err().unwrap()
    }

    #[test]
    fn a_device_that_opens_many_connections_gets_no_more_than_two_bodies_in() {
        let admission = Admission::new();
        let first = admission.enter(&device(1), 300).unwrap();
        let _second = admission.enter(&device(1), 300).unwrap();
        assert_eq!(turned(admission.enter(&device(1), 300)), Turned::Busy);
        admission.enter(&device(2), 300).unwrap();
        drop(first);
        admission.enter(&device(1), 300).unwrap();
    }

    #[test]
    fn whoever_floods_heartbeats_of_others_still_come_in() {
        let admission = Admission::new();
        let mut places = Vec::new();
        for n in 0..1000 {
            for _ in 0..10 {
                if let Ok(mut place) = admission.enter(&device(n), 250 << 10)
                    && place.grow(4 * MIB).is_ok()
                {
                    places.push(place);
                }
            }
        }
        assert!(places.len() <= 13, "{} bodies of 4 MiB", places.len());
        let held: Vec<_> = (5000..9000).map(|n| admission.enter(&device(n), 300).unwrap()).collect();
        assert_eq!(turned(admission.enter(&device(0), 300)), Turned::Busy, "who has one in flight waits");
        drop((places, held));
        assert_eq!(admission.room.available_permits(), ROOM_KIB);
        assert!(admission.devices.lock().unwrap().is_empty(), "nothing is remembered of who has gone");
    }

    #[test]
    fn past_the_room_everybody_is_turned_away_and_what_was_held_is_free_again() {
        let admission = Admission::new();
        let held: Vec<_> = (0..ROOM_KIB as u128).map(|n| admission.enter(&device(n), 1).unwrap()).collect();
        assert_eq!(turned(admission.enter(&device(1 << 64), 1)), Turned::Full);
        drop(held);
        admission.enter(&device(1 << 64), 1).unwrap();
    }

    #[test]
    fn those_who_are_turned_away_together_come_back_apart() {
        let all: std::collections::BTreeSet<u64> = (0..1000).map(come_again).collect();
        assert_eq!((all.first(), all.last(), all.len()), (Some(&10), Some(&30), 21));
    }
}
