//! Who is at the other end of an agent's connection.

use std::net::SocketAddr;

use farmwatch_shared::id::DeviceId;

/// The device that a client certificate names, and what its connection shows. Every request past the gate
/// carries one as an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The device.
    pub device: DeviceId,
    /// Serial number of the certificate, hex.
    pub certificate: String,
    /// The other end.
    pub address: SocketAddr,
    /// Smoothed round trip in milliseconds, from the kernel.
    pub rtt_ms: Option<u32>,
    /// Maximum segment size in bytes, from the kernel.
    pub mss: Option<u32>,
}
