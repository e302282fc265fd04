//! Tests of the store's promises, run against every implementation.
//!
//! Each case is a function of a fresh, empty store. [`cases`] lists them; an implementation's tests call
//! `suite::run(case, store)` for each.
#![allow(clippy::unwrap_used, reason = "tests")]

mod alerts;
mod audit;
mod devices;
pub mod interleavings;
mod orders;
mod people;
mod reports;
mod sites;
mod work;

use std::future::Future;
use std::pin::Pin;

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::{Report, VERSION};
use farmwatch_shared::state::State;
use jiff::{SignedDuration, Timestamp};

use super::{Arrival, Device, Observed, SharedStore};

/// A case at work.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
/// A case: what it shows, and how.
pub type Case = (&'static str, fn(SharedStore) -> Running);

/// Every case.
pub fn cases() -> Vec<Case> {
    [
        alerts::CASES,
        audit::CASES,
        devices::CASES,
        orders::CASES,
        people::CASES,
        reports::CASES,
        sites::CASES,
        work::CASES,
    ]
    .concat()
}

pub use reports::window;
pub use work::take;

/// Minutes after the start of the tests' time.
pub fn minute(n: i64) -> Timestamp {
    let start: Timestamp = "2026-11-24T05:30:00Z".parse().unwrap();
    start + SignedDuration::from_mins(n)
}

/// The n-th laptop.
pub fn laptop(n: u128) -> DeviceId {
    DeviceId::new(1_790_000_000_000, n)
}

/// Enrols the n-th laptop.
pub async fn enrol(store: &SharedStore, n: u128) -> DeviceId {
    store.add_device(enrolled(n)).await.unwrap();
    laptop(n)
}

/// The n-th laptop as it is when it has just enrolled.
pub fn enrolled(n: u128) -> Device {
    Device {
        serial: Some(format!("SN{n:04}")),
        hostname: format!("laptop-{n}"),
        os: "linux".into(),
        machine: "9f8e7d6c".into(),
        certificates: vec!["0a".into()],
        ..Device::new(laptop(n), minute(0))
    }
}

/// A heartbeat.
pub fn heartbeat(device: &DeviceId, seq: u64, state: &State) -> Report {
    Report {
        v: VERSION,
        device: device.clone(),
        boot: "0a1b2c3d".into(),
        seq,
        at: minute(i64::try_from(seq).unwrap()),
        machine: "9f8e7d6c".into(),
        digest: state.digest(),
        whole: false,
        set: Default::default(),
        gone: Vec::new(),
        windows: Vec::new(),
        transitions: Vec::new(),
        dropped_windows: 0,
        other: Default::default(),
    }
}

/// A report of what leads from one state to another.
pub fn change(device: &DeviceId, seq: u64, from: &State, to: &State) -> Report {
    let delta = from.delta(to);
    Report { set: delta.set, gone: delta.gone, ..heartbeat(device, seq, to) }
}

/// A report, arrived at once and from a household's address.
pub fn arrival(report: Report) -> Arrival {
    Arrival {
        received_at: report.at,
        report,
        as_sent: Default::default(),
        source: Some("203.0.113.7".parse().unwrap()),
        country: Some("US".into()),
        network: Some("AS64500 Example Net".into()),
        observed: Observed::default(),
    }
}
