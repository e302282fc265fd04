//! How many connections there may be: in all, without a certificate, and of one device.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use farmwatch_shared::id::DeviceId;
use tokio_util::sync::CancellationToken;

/// Most connections of one device. An agent has two; a laptop that changes networks leaves dead ones behind for a
/// while.
const MOST_OF_A_DEVICE: usize = 6;

/// Connections by device.
#[derive(Clone, Default)]
pub struct Devices(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    next: u64,
    of: HashMap<DeviceId, VecDeque<(u64, CancellationToken)>>,
}

/// A device's connection, until it is dropped.
pub struct Seat {
    devices: Devices,
    device: DeviceId,
    number: u64,
    /// Cancelled when newer connections of the device have taken its place.
    pub displaced: CancellationToken,
}

impl Devices {
    /// Takes a connection in; the device's oldest makes room where there are too many.
    pub fn enter(&self, device: &DeviceId) -> Seat {
        let mut table = self.lock();
        let number = table.next;
        table.next += 1;
        let displaced = CancellationToken::new();
        let seats = table.of.entry(device.clone()).or_default();
        seats.push_back((number, displaced.clone()));
        if seats.len() > MOST_OF_A_DEVICE
            && let Some((_, oldest)) = seats.pop_front()
        {
            oldest.cancel();
            metrics::counter!("farmwatch_connections_refused_total", "reason" => "displaced").increment(1);
        }
        Seat { devices: self.clone(), device: device.clone(), number, displaced }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.devices.lock();
        if let Some(seats) = table.of.get_mut(&self.device) {
            seats.retain(|(number, _)| *number != self.number);
            if seats.is_empty() {
                table.of.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_too_many_connections_loses_its_oldest_and_others_none() {
        let devices = Devices::default();
        let (one, other) = (DeviceId::new(1, 1), DeviceId::new(1, 2));
        let bystander = devices.enter(&other);
        let mut seats: Vec<Seat> = (0..=MOST_OF_A_DEVICE).map(|_| devices.enter(&one)).collect();
        assert!(seats[0].displaced.is_cancelled());
        assert!(seats[1..].iter().all(|seat| !seat.displaced.is_cancelled()));
        seats.clear();
        assert!(!bystander.displaced.is_cancelled());
        drop(bystander);
        assert!(devices.lock().of.is_empty());
    }
}
