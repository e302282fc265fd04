//! Interfaces, gateways and neighbours from `/sys/class/net`, `/proc/net` and lease files.

mod lease;
mod link;
mod listen;
mod tables;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use farmwatch_shared::facts::{LinkKind, Neighbour, Network, TransitionKind};
use jiff::{SignedDuration, Timestamp};

use self::link::Link;
use self::listen::Ear;
use self::tables::{ArpEntry, DefaultRoute};
use super::mac::Mac;
use crate::sensors::read::{self, ReadError};
use crate::sensors::{Config, Sensed, SensorError};

/// Longest table that is read: some 10,000 entries.
const TABLE: usize = 1 << 20;
/// Most neighbours of an interface.
const NEIGHBOURS: usize = 64;
/// A neighbour that was not heard for this long is gone. Long, so that phones that sleep do not come and go.
const FORGET: SignedDuration = SignedDuration::from_hours(12);

/// What the sensor remembers between looks.
#[derive(Debug, Default)]
pub struct Memory {
    /// There was a default route at the last look; `None` before the first.
    online: Option<bool>,
    /// Hardware addresses by interface and address: entries of the ARP table expire while nothing changed.
    known: BTreeMap<(String, Ipv4Addr), Mac>,
    /// When each neighbour of an interface was last noticed.
    neighbours: BTreeMap<String, BTreeMap<Mac, Timestamp>>,
    /// Listens on the interface that carries the default route.
    ear: Option<Ear>,
}

/// States every interface that is up, and says whether a default route came or went.
pub fn sense(memory: &mut Memory, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    let links: Vec<Link> = link::links(&config.path("sys/class/net"))?;
    let ipv4 = or_missing(read::text(&config.path("proc/net/route"), TABLE))?;
    let ipv6 = or_missing(read::text(&config.path("proc/net/ipv6_route"), TABLE))?;
    let arp = tables::arp(&or_missing(read::text(&config.path("proc/net/arp"), TABLE))?);
    let routes = tables::default_routes(&ipv4, &ipv6);
    memory.tell_transition(!routes.is_empty(), now, out);
    memory.remember(&links, &arp);
    memory.listen(&links, &routes, &config, out);
    memory.meet(&links, &routes, &arp, config.level_2, now);
    for link in links.iter().filter(|link| stands_for_itself(link, &routes)) {
        out.fact(&link.name, &memory.network(link, &routes, &config));
    }
    Ok(())
}

/// Ports of a bridge and the ends of containers' links come and go and say nothing, unless all traffic goes
/// through one.
fn stands_for_itself(link: &Link, routes: &[DefaultRoute]) -> bool {
    let carries = routes.iter().any(|route| route.interface == link.name);
    carries || !(link.kind == LinkKind::Virtual && (link.bridged || link.name.starts_with("veth")))
}

impl Memory {
    fn tell_transition(&mut self, online: bool, now: Timestamp, out: &mut Sensed) {
        match (self.online, online) {
            (Some(true), false) => out.transition(now, TransitionKind::NetworkLost),
            (Some(false), true) => out.transition(now, TransitionKind::NetworkRegained),
            _ => {}
        }
        self.online = Some(online);
    }

    /// Takes the ARP table over what was known, and forgets interfaces that are down.
    fn remember(&mut self, links: &[Link], arp: &[ArpEntry]) {
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

    /// Listens where the default route is, while level 2 allows it.
    fn listen(&mut self, links: &[Link], routes: &[DefaultRoute], config: &Config, out: &mut Sensed) {
        let wanted = routes.first().and_then(|route| links.iter().find(|link| link.name == route.interface));
        let wanted = wanted.filter(|link| has_neighbours(link) && config.level_2 && config.is_live());
        let Some(index) = wanted.and_then(|link| link.index) else {
            self.ear = None;
            return;
        };
        if self.ear.as_ref().is_some_and(|ear| ear.index == index) {
            return;
        }
        self.ear = match Ear::open(index) {
            Ok(ear) => Some(ear),
            Err(e) => {
                out.note(format!(
                    "neighbours are known from the ARP table only: listening to ARP needs CAP_NET_RAW ({e})"
                ));
                None
            }
        };
    }

    /// Notes who else is on the segments.
    fn meet(
        &mut self,
        links: &[Link],
        routes: &[DefaultRoute],
        arp: &[ArpEntry],
        level_2: bool,
        now: Timestamp,
    ) {
        if !level_2 {
            self.neighbours.clear();
            return;
        }
        let heard = self.ear.as_ref().map(|ear| (ear.index, ear.heard()));
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

    fn network(&self, link: &Link, routes: &[DefaultRoute], config: &Config) -> Network {
        let key = &config.hash_key;
        let gateway = routes.iter().find_map(|route| self.gateway(link, route));
        Network {
            kind: link.kind,
            default_route: routes.first().is_some_and(|route| route.interface == link.name),
            gateway: gateway.map(|mac| key.hash("gateway", &mac.to_string())),
            gateway_oui: gateway.and_then(Mac::oui),
            dhcp_server: self.dhcp_server(link, config).map(|server| key.hash("dhcp_server", &server)),
            neighbours: self.neighbours(link, config),
        }
    }

    /// The DHCP server's identity: its address and who answers for it. The address alone is the same in
    /// millions of homes, so a server that is not on the segment has no identity here.
    fn dhcp_server(&self, link: &Link, config: &Config) -> Option<String> {
        let address = lease::server(config, &link.name, link.index)?;
        let mac = self.known.get(&(link.name.clone(), address))?;
        Some(format!("{address}@{mac}"))
    }

    fn neighbours(&self, link: &Link, config: &Config) -> Vec<Neighbour> {
        let met = self.neighbours.get(&link.name).into_iter().flatten();
        let mut neighbours: Vec<Neighbour> = met
            .map(|(mac, _)| Neighbour {
                id: config.hash_key.hash("neighbour", &mac.to_string()),
                oui: mac.oui().unwrap_or_default(),
            })
            .collect();
        neighbours.sort_unstable();
        neighbours
    }
}

/// Only real segments have neighbours; those of a bridge are this machine's own containers.
fn has_neighbours(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Ethernet | LinkKind::Wifi)
}

/// A table that is not there is empty: kernels without IPv6 have no table for it.
fn or_missing(result: Result<String, ReadError>) -> Result<String, ReadError> {
    match result {
        Err(e) if e.is_missing() => Ok(String::new()),
        other => other,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
