//! What is known of an agent's connection before anything is asked on it.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use farmwatch_shared::id::DeviceId;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use crate::store::Observed;

/// How long what the store said about a device is believed on its connection: a revocation takes this long.
const BELIEVED: Duration = Duration::from_secs(2);

/// An agent's connection.
pub struct Connection {
    /// The other end.
    pub address: SocketAddr,
    /// The certificate that it showed, if it did; its chain and key are verified.
    pub presented: Option<Presented>,
    observe: Box<dyn Fn() -> Observed + Send + Sync>,
    passed_at: Mutex<Option<Instant>>,
}

/// A device's certificate, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The device that it names.
    pub device: DeviceId,
    /// Its serial number, hex.
    pub serial: String,
    /// When it ends, or has ended.
    pub not_after: Timestamp,
}

impl Connection {
    /// A connection; `observe` asks the kernel about its path.
    pub fn new(
        address: SocketAddr,
        presented: Option<Presented>,
        observe: impl Fn() -> Observed + Send + Sync + 'static,
    ) -> Self {
        Self { address, presented, observe: Box::new(observe), passed_at: Mutex::default() }
    }

    /// What the path shows now.
    pub fn observed(&self) -> Observed {
        (self.observe)()
    }

    /// The device passed the gate on this connection moments ago.
    pub fn passed_lately(&self) -> bool {
        self.passed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|at| at.elapsed() < BELIEVED)
    }

    /// The device passed the gate just now.
    pub fn passes(&self) {
        *self.passed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

impl Presented {
    /// Reads a verified certificate; `None` if it names no device (our authority signs no such for clients).
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, read) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let device = read.subject().iter_common_name().next()?.as_str().ok()?.parse().ok()?;
        let serial = hex::encode(read.serial.to_bytes_be());
        let not_after = Timestamp::from_second(read.validity().not_after.timestamp()).ok()?;
        Some(Self { device, serial, not_after })
    }
}
