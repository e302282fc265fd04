//! What a laptop learns of the segments that it is on, whatever operating system told it: gateways, DHCP servers and
//! neighbours, remembered while the system's own tables forget.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use farmwatch_shared::facts::{LinkKind, Neighbour, Network, TransitionKind};
use farmwatch_shared::id::HashKey;
use jiff::{SignedDuration, Timestamp};

use super::mac::Mac;
use crate::sensors::Sensed;

/// Most neighbours of an interface.
const NEIGHBOURS: usize = 64;
/// A neighbour that was not heard for this long is gone. Long, so that phones that sleep do not come and go.
const FORGET: SignedDuration = SignedDuration::from_hours(12);

/// An interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: Option<u32>,
    /// What it is.
    pub kind: LinkKind,
    /// Its own hardware address.
    pub mac: Option<Mac>,
    /// It is a port of a bridge, which stands for it.
    pub bridged: bool,
}

/// A way to everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultRoute {
    /// Over which interface.
    pub interface: String,
    /// Through which gateway; `None` for a tunnel, and for IPv6.
    pub gateway: Option<Ipv4Addr>,
    /// Lower is preferred.
    pub rank: (bool, u32),
}

/// Who answers for an address on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpEntry {
    /// The address.
    pub address: Ipv4Addr,
    /// The machine's hardware address.
    pub mac: Mac,
    /// On which interface.
    pub interface: String,
}

/// What is remembered between looks.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// There was a default route at the last look; `None` before the first.
    online: Option<bool>,
    /// Hardware addresses by interface and address: entries of the ARP table expire while nothing changed.
    known: BTreeMap<(String, Ipv4Addr), Mac>,
    /// When each neighbour of an interface was last noticed.
    neighbours: BTreeMap<String, BTreeMap<Mac, Timestamp>>,
    /// Gateways that the default routes led through when there were any.
    gateways: BTreeSet<Mac>,
}

impl Memory {
    pub(super) fn tell_transition(&mut self, online: bool, now: Timestamp, out: &mut Sensed) {
        match (self.online, online) {
            (Some(true), false) => out.transition(now, TransitionKind::NetworkLost),
            (Some(false), true) => out.transition(now, TransitionKind::NetworkRegained),
            _ => {}
        }
        self.online = Some(online);
    }

    /// Says that the laptop came to another network: none of the gateways, over a cable or Wi-Fi, is one of before. A dock's
    /// cable instead of Wi-Fi at home is none, because both lead through the same gateway.
    pub(super) fn tell_change(
        &mut self,
        links: &[Link],
        routes: &[DefaultRoute],
        now: Timestamp,
        out: &mut Sensed,
    ) {
        let on_segments = links.iter().filter(|link| has_neighbours(link));
        let gateways: BTreeSet<Mac> = on_segments
            .flat_map(|link| routes.iter().filter_map(|route| self.gateway(link, route)))
            .collect();
        if gateways.is_empty() {
            return;
        }
        if !self.gateways.is_empty() && self.gateways.is_disjoint(&gateways) {
            out.transition(now, TransitionKind::NetworkChanged);
        }
        self.gateways = gateways;
    }

    /// Takes the ARP table over what was known, and forgets interfaces that are down.
    pub(super) fn remember(&mut self, links: &[Link], arp: &[ArpEntry]) {
        let up = |name: &String| links.iter().any(|link| link.name == *name);
        self.known.retain(|(interface, _), _| up(interface));
        self.neighbours.retain(|interface, _| up(interface));
        for entry in arp.iter().take(4 * NEIGHBOURS) {
            self.known.insert((entry.interface.clone(), entry.address), entry.mac);
        }
        // An address that was not a gateway or server and left the table is of no use.
        if self.known.len() > 16 * NEIGHBOURS {
            let in_table = |key: &(String, Ipv4Addr)| {
                arp.iter().any(|entry| entry.address == key.1 && entry.interface == key.0)
            };
            self.known.retain(|key, _| in_table(key));
        }
    }

    /// Notes who else is on the segments.
    pub(super) fn meet(
        &mut self,
        links: &[Link],
        routes: &[DefaultRoute],
        (arp, heard): (&[ArpEntry], Option<(u32, Vec<Mac>)>),
        level_2: bool,
        now: Timestamp,
    ) {
        if !level_2 {
            self.neighbours.clear();
            return;
        }
        for link in links.iter().filter(|link| has_neighbours(link)) {
            let gateways: Vec<Mac> = routes.iter().filter_map(|route| self.gateway(link, route)).collect();
            let in_table = arp.iter().filter(|entry| entry.interface == link.name).map(|entry| entry.mac);
            let on_air = heard.iter().filter(|(index, _)| Some(*index) == link.index);
            let on_air = on_air.flat_map(|(_, macs)| macs.iter().copied());
            let others: Vec<Mac> = in_table
                .chain(on_air)
                .filter(|mac| Some(*mac) != link.mac && !gateways.contains(mac))
                .collect();
            let met = self.neighbours.entry(link.name.clone()).or_default();
            met.retain(|mac, last| now.duration_since(*last) < FORGET && !gateways.contains(mac));
            for mac in others {
                if met.len() < NEIGHBOURS || met.contains_key(&mac) {
                    met.insert(mac, now);
                }
            }
        }
    }

    fn gateway(&self, link: &Link, route: &DefaultRoute) -> Option<Mac> {
        if route.interface != link.name {
            return None;
        }
        self.known.get(&(link.name.clone(), route.gateway?)).copied()
    }

    /// The fact of an interface; `dhcp` is the address of the server that gave it its own.
    ///
    /// That address alone is the same in millions of homes, so the server's identity is the address with who answers
    /// for it; one that is not on the segment has none here.
    pub(super) fn network(
        &self,
        link: &Link,
        routes: &[DefaultRoute],
        dhcp: Option<Ipv4Addr>,
        key: &HashKey,
    ) -> Network {
        let gateway = routes.iter().find_map(|route| self.gateway(link, route));
        let server = dhcp.and_then(|address| {
            let mac = self.known.get(&(link.name.clone(), address))?;
            Some(format!("{address}@{mac}"))
        });
        Network {
            kind: link.kind,
            default_route: routes.first().is_some_and(|route| route.interface == link.name),
            gateway: gateway.map(|mac| key.hash("gateway", &mac.to_string())),
            gateway_oui: gateway.and_then(Mac::oui),
            dhcp_server: server.map(|server| key.hash("dhcp_server", &server)),
            neighbours: self.neighbours(link, key),
        }
    }

    fn neighbours(&self, link: &Link, key: &HashKey) -> Vec<Neighbour> {
        let met = self.neighbours.get(&link.name).into_iter().flatten();
        let mut neighbours: Vec<Neighbour> = met
            .map(|(mac, _)| Neighbour {
                id: key.hash("neighbour", &mac.to_string()),
                oui: mac.oui().unwrap_or_default(),
            })
            .collect();
        neighbours.sort_unstable();
        neighbours
    }
}

/// Ports of a bridge and the ends of containers' links come and go and say nothing, unless all traffic goes
/// through one.
pub(super) fn stands_for_itself(link: &Link, routes: &[DefaultRoute]) -> bool {
    let carries = routes.iter().any(|route| route.interface == link.name);
    carries || !(link.kind == LinkKind::Virtual && (link.bridged || link.name.starts_with("veth")))
}

/// Only real segments have neighbours; those of a bridge are this machine's own containers.
pub(super) fn has_neighbours(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Ethernet | LinkKind::Wifi)
}
