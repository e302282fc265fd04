use serde::{Deserialize, Serialize};

use super::Family;
use crate::id::KeyedHash;

/// A network interface that is up. Key: `network/<interface>`.
///
/// No addresses, no network names: what tells two laptops' places apart is hashed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// What it is.
    pub kind: LinkKind,
    /// It carries the default route.
    pub default_route: bool,
    /// The default gateway's hardware address, hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<KeyedHash>,
    /// First three bytes of the gateway's hardware address (the maker's, six hex digits): travel routers and
    /// phones show here. Left out where the address is locally administered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_oui: Option<String>,
    /// The DHCP server's identity, hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dhcp_server: Option<KeyedHash>,
    /// Others on this network segment, hashed; at most 64. Level 2.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub neighbours: Vec<Neighbour>,
}

impl Family for Network {
    const NAME: &'static str = "network";
}

/// Another machine on the same network segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its hardware address, hashed.
    pub id: KeyedHash,
    /// First three bytes of its hardware address; empty if locally administered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub oui: String,
}

/// Kinds of links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// A cable.
    Ethernet,
    /// Wi-Fi.
    Wifi,
    /// A modem.
    Cellular,
    /// A VPN's tunnel.
    Vpn,
    /// A mesh or overlay network: Tailscale, ZeroTier, …
    Overlay,
    /// A bridge or virtual link for containers and virtual machines.
    Virtual,
    /// None of these, or newer.
    #[default]
    #[serde(other)]
    Other,
}
