//! Where laptops stand: a public address, a gateway, neighbours.

use std::net::{IpAddr, Ipv4Addr};

use farmwatch_shared::facts::{LinkKind, Neighbour, Network};
use farmwatch_shared::id::HashKey;

/// Names a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceId(usize);

struct Place {
    name: String,
    address: IpAddr,
    gateway: String,
    oui: &'static str,
    neighbours: Vec<String>,
    sanctioned: bool,
}

/// All places of a fleet.
pub struct Places {
    key: HashKey,
    all: Vec<Place>,
}

/// Gateways of homes, by the registry of makers' prefixes (AVM, Netgear, TP-Link, Sagemcom, Ubiquiti).
const HOME_ROUTERS: [&str; 5] = ["3ca62f", "a040a0", "50c7bf", "7c03d8", "788a20"];

impl Places {
    /// No places yet. Hashes are made with `key`, as the agents of one tenant would.
    pub fn new(key: HashKey) -> Self {
        Self { key, all: Vec::new() }
    }

    /// Hashes a value as an agent would.
    pub fn hash(&self, kind: &str, value: &str) -> farmwatch_shared::id::KeyedHash {
        self.key.hash(kind, value)
    }

    /// A home with some things of its own on its network.
    pub fn home(&mut self, rng: &mut fastrand::Rng) -> PlaceId {
        let things = rng.usize(1..6);
        let oui = HOME_ROUTERS[rng.usize(..HOME_ROUTERS.len())];
        self.add("home", oui, things, false, rng)
    }

    /// A hotel: many things on its network, and a router that other hotels have too.
    pub fn hotel(&mut self, rng: &mut fastrand::Rng) -> PlaceId {
        self.add("hotel", "788a20", 20, false, rng)
    }

    /// The exit of a private VPN: an address that its customers share.
    pub fn vpn_exit(&mut self, rng: &mut fastrand::Rng) -> PlaceId {
        self.add("VPN exit", "000000", 0, false, rng)
    }

    /// The office.
    pub fn office(&mut self, rng: &mut fastrand::Rng) -> PlaceId {
        self.add("Lisbon office", "00000c", 30, true, rng)
    }

    fn add(
        &mut self,
        name: &str,
        oui: &'static str,
        things: usize,
        sanctioned: bool,
        rng: &mut fastrand::Rng,
    ) -> PlaceId {
        let number = self.all.len();
        // 100.64.0.0/10 and the documentation ranges hold too few; 198.18.0.0/15 is kept for tests (RFC 2544).
        let (high, low) = (u8::try_from(number / 250 % 256), u8::try_from(number % 250 + 1));
        let address = Ipv4Addr::new(198, 18, high.unwrap_or(0), low.unwrap_or(1));
        let mut mac = || format!("{:06x}", rng.u32(..1 << 24));
        self.all.push(Place {
            name: name.to_owned(),
            address: address.into(),
            gateway: format!("{oui}{}", mac()),
            oui,
            neighbours: (0..things).map(|_| format!("b827eb{}", mac())).collect(),
            sanctioned,
        });
        PlaceId(number)
    }

    /// The place's public address.
    pub fn address(&self, id: PlaceId) -> IpAddr {
        self.all[id.0].address
    }

    /// What a laptop there says of its network. Neighbours are level 2 and only said where `level_2`.
    pub fn network(&self, id: PlaceId, level_2: bool) -> Network {
        let place = &self.all[id.0];
        let neighbour = |mac: &String| Neighbour { id: self.hash("mac", mac), oui: mac[..6].to_owned() };
        Network {
            kind: LinkKind::Wifi,
            default_route: true,
            gateway: Some(self.hash("mac", &place.gateway)),
            gateway_oui: Some(place.oui.to_owned()),
            dhcp_server: Some(self.hash("dhcp", &place.gateway)),
            neighbours: if level_2 { place.neighbours.iter().map(neighbour).collect() } else { Vec::new() },
        }
    }

    /// Sanctioned places as TOML.
    pub fn sanctioned(&self) -> String {
        let line = |p: &Place| format!("[[place]]\nname = {:?}\nnetworks = [\"{}/32\"]\n", p.name, p.address);
        self.all.iter().filter(|p| p.sanctioned).map(line).collect()
    }
}
