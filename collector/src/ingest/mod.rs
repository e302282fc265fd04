//! Reports in: checked, hashed again, and durable before they are acknowledged.
//!
//! [`Ingest::take`] is the whole way from reports to an acknowledgement, without HTTP and with time as a
//! parameter: replay goes it too. [`router`] puts HTTP in front.

mod admission;
mod check;
mod http;
mod meters;
pub mod place;
mod rehash;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::Report;
use farmwatch_shared::wire::{self, Ack};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

pub use http::router;
pub use place::Places;
pub use rehash::{hash_again, rehash};

use admission::Admission;
use meters::Meters;

use crate::access::peer::Peer;
use crate::app::App;
use crate::store::{Arrival, NewAudit, Observed, Receipt, Recorded, StoreError};

/// The same complaint about the same device is audited once in this time: a device cannot fill the audit.
const COMPLAIN_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// Devices whose complaints are remembered.
const COMPLAINTS: usize = 10_000;

/// Takes reports.
pub struct Ingest {
    app: Arc<App>,
    places: RwLock<Arc<Places>>,
    meters: Meters,
    admission: Admission,
    /// Large bodies are unpacked by as many threads as there are cores, and wait for one in the order in which they came.
    unpacking: Semaphore,
    complaints: Mutex<HashMap<(DeviceId, &'static str), Timestamp>>,
}

/// Why reports are not taken, or not all.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    /// One names another device than the certificate. None is taken.
    Foreign {
        /// The device that it names.
        named: DeviceId,
    },
    /// There is no such device, or it is revoked.
    Unknown,
    /// Two agents write under one name. What is before it is taken.
    Conflict {
        /// What does not fit.
        why: String,
    },
    /// One can never be taken.
    Fault {
        /// Which, from 0.
        index: usize,
        /// Why.
        why: String,
        /// The reports before it, which are taken.
        ack: Option<Ack>,
    },
    /// Nothing can be stored now.
    Store(String),
}

impl Ingest {
    /// Ingest into an app's store.
    pub fn new(app: Arc<App>, places: Places) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (admission, unpacking) = (Admission::new(), Semaphore::new(cores));
        let places = RwLock::new(Arc::new(places));
        Self { app, places, meters: Meters::new(), admission, unpacking, complaints: Mutex::default() }
    }

    /// From now on, addresses say what these files have.
    pub fn use_places(&self, places: Places) {
        *self.places.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(places);
    }

    /// Takes reports of one device, in order. When this returns, what it acknowledges is durable.
    pub async fn take(&self, mut reports: Vec<Report>, peer: &Peer, now: Timestamp) -> Result<Ack, Refused> {
        if let Some(foreign) = reports.iter().find(|report| report.device != peer.device) {
            let named = foreign.device.clone();
            let why = format!("its certificate names it, its report names {named}; nothing was taken");
            self.complain(peer, "foreign_report", why, now).await;
            return Err(Refused::Foreign { named });
        }
        let fault = reports.iter().enumerate().find_map(|(n, report)| Some((n, check::fault(report)?)));
        if let Some((n, _)) = fault {
            reports.truncate(n);
        }
        let ack = if reports.is_empty() { None } else { Some(self.write(reports, peer, now).await?) };
        match (fault, ack) {
            (Some((index, why)), ack) => Err(Refused::Fault { index, why, ack }),
            (None, ack) => Ok(ack.unwrap_or_default()),
        }
    }

    async fn write(&self, reports: Vec<Report>, peer: &Peer, now: Timestamp) -> Result<Ack, Refused> {
        let address = peer.address.ip().to_canonical();
        let places = Arc::clone(&self.places.read().unwrap_or_else(PoisonError::into_inner));
        let origin = places.look_up(address);
        let arrivals = reports.into_iter().map(|mut report| {
            self.meters.unreadable(wire::unreadable(&report));
            check::settle_times(&mut report, now);
            let as_sent = rehash(&mut report, &self.app.hash_key);
            Arrival {
                report,
                as_sent,
                received_at: now,
                source: Some(address),
                country: origin.country.clone(),
                network: origin.network.clone(),
                observed: Observed { rtt_ms: peer.rtt_ms, mss: peer.mss },
            }
        });
        let arrivals: Vec<Arrival> = arrivals.collect();
        let told: Vec<Recorded> = arrivals.iter().map(|arrival| Recorded::of(&arrival.report)).collect();
        let receipts = self.app.store.ingest(arrivals).await;
        let receipts = receipts.map_err(|error| Refused::Store(error.to_string()))?;
        let mut ack =
            Ack { policy: self.app.policy.version, catalogue: self.app.catalogue, ..Ack::default() };
        for (index, (receipt, told)) in receipts.into_iter().zip(told).enumerate() {
            self.meters.report(&receipt);
            let seq = told.upto;
            match receipt {
                Receipt::Taken { want_state } => {
                    self.app.habits.heard(&peer.device, told);
                    ack.seq = ack.seq.max(seq);
                    ack.want_state = want_state;
                }
                Receipt::Duplicate => ack.seq = ack.seq.max(seq),
                Receipt::Unknown => return Err(Refused::Unknown),
                Receipt::TooMuch { why } => {
                    return Err(Refused::Fault { index, why, ack: (index > 0).then_some(ack) });
                }
                Receipt::Conflict { why } => {
                    self.complain(peer, "conflict", why.clone(), now).await;
                    return Err(Refused::Conflict { why });
                }
            }
        }
        Ok(ack)
    }

    /// Writes to the audit that something about a device is not right, and has it judged.
    async fn complain(&self, peer: &Peer, action: &'static str, why: String, now: Timestamp) {
        if !self.is_news(&peer.device, action, now) {
            return;
        }
        tracing::warn!(device = %peer.device, action, why);
        let entry = NewAudit {
            at: now,
            actor: "farmwatch".into(),
            action: action.into(),
            object: peer.device.to_string(),
            why,
        };
        let store = &self.app.store;
        let written: Result<(), StoreError> = async {
            store.audit(entry).await?;
            store.queue(std::slice::from_ref(&peer.device), now).await
        }
        .await;
        if let Err(error) = written {
            tracing::error!(%error, device = %peer.device, action, "cannot write this to the audit");
        }
    }

    fn is_news(&self, device: &DeviceId, action: &'static str, now: Timestamp) -> bool {
        let Ok(mut complaints) = self.complaints.lock() else { return true };
        if complaints.len() >= COMPLAINTS {
            complaints.clear();
        }
        let known = complaints.get(&(device.clone(), action));
        if known.is_some_and(|then| now.duration_since(*then).abs() < COMPLAIN_EVERY) {
            return false;
        }
        complaints.insert((device.clone(), action), now);
        true
    }
}
