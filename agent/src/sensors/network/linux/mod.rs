//! Interfaces, gateways and neighbours from `/sys/class/net`, `/proc/net` and lease files.

mod lease;
mod link;
mod listen;
mod tables;

use jiff::Timestamp;

use self::listen::Ear;
use super::segment::{self, DefaultRoute, Link, has_neighbours, stands_for_itself};
use crate::sensors::read::{self, ReadError};
use crate::sensors::{Config, Sensed, SensorError};

/// Longest table that is read: some 10,000 entries.
const TABLE: usize = 1 << 20;
/// What the sensor remembers between looks.
#[derive(Debug, Default)]
pub struct Memory {
    segments: segment::Memory,
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
    memory.segments.tell_transition(!routes.is_empty(), now, out);
    memory.segments.remember(&links, &arp);
    memory.segments.tell_change(&links, &routes, now, out);
    memory.listen(&links, &routes, &config, out);
    let heard = memory.ear.as_ref().map(|ear| (ear.index, ear.heard()));
    memory.segments.meet(&links, &routes, (&arp, heard), config.level_2, now);
    for link in links.iter().filter(|link| stands_for_itself(link, &routes)) {
        let dhcp = lease::server(&config, &link.name, link.index);
        out.fact(&link.name, &memory.segments.network(link, &routes, dhcp, &config.hash_key));
    }
    Ok(())
}

impl Memory {
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
