//! What IP Helper says of adapters, routes and neighbours, in the words of [`super::segment`].

use std::net::{IpAddr, Ipv4Addr};

use farmwatch_shared::facts::LinkKind;

use super::mac::Mac;
use super::segment::{ArpEntry, DefaultRoute, Link};

/// `IfOperStatusUp`.
const UP: i32 = 1;
/// `NlnsDelay`, `NlnsReachable`, `NlnsPermanent`, `NlnsStale`, `NlnsProbe`: states of a neighbour whose hardware
/// address is known (`NL_NEIGHBOR_STATE`); below them it is being asked for.
const KNOWN: std::ops::RangeInclusive<i32> = 2..=6;
/// What adapters of overlay networks call themselves.
const OVERLAYS: [&str; 7] =
    ["tailscale", "zerotier", "netbird", "nebula", "hamachi", "radmin vpn", "twingate"];
/// And those of VPN clients.
const VPNS: [&str; 16] = [
    "vpn",
    "wireguard",
    "wintun",
    "tap-windows",
    "tap-win32",
    "anyconnect",
    "cisco secure client",
    "fortinet",
    "pangp",
    "palo alto",
    "juniper",
    "sonicwall",
    "check point",
    "netskope",
    "zscaler",
    "astrill",
];
/// And those of virtual machines.
const VIRTUAL: [&str; 6] = ["hyper-v", "vmware", "virtualbox", "docker", "loopback", "npcap"];

/// An adapter of `GetAdaptersAddresses`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Adapter {
    /// By its LUID: `ethernet_32769`. Its friendly name may be a person's word and is not read.
    pub(super) name: String,
    pub(super) index: u32,
    /// The driver's word for it.
    pub(super) description: String,
    /// `IfType` (IANA's ifType).
    pub(super) if_type: u32,
    /// `OperStatus`.
    pub(super) status: i32,
    /// `PhysicalAddress`.
    pub(super) physical: Vec<u8>,
    /// `Ipv4Metric`.
    pub(super) metric: u32,
    /// `Dhcpv4Server`.
    pub(super) dhcp: Option<Ipv4Addr>,
}

/// A row of `GetIpForwardTable2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteRow {
    pub(super) index: u32,
    pub(super) destination: IpAddr,
    pub(super) length: u8,
    pub(super) next_hop: IpAddr,
    pub(super) metric: u32,
}

/// A row of `GetIpNetTable2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NeighbourRow {
    pub(super) index: u32,
    pub(super) address: Ipv4Addr,
    pub(super) physical: Vec<u8>,
    /// `NL_NEIGHBOR_STATE`.
    pub(super) state: i32,
}

/// Adapters that are up, loopback left out.
pub(super) fn links(adapters: &[Adapter]) -> Vec<Link> {
    let up = adapters.iter().filter(|adapter| adapter.status == UP && adapter.if_type != LOOPBACK);
    let link = |adapter: &Adapter| Link {
        name: adapter.name.clone(),
        index: Some(adapter.index),
        kind: kind(adapter),
        mac: mac(&adapter.physical),
        bridged: false,
    };
    up.map(link).collect()
}

const LOOPBACK: u32 = 24;

/// By the driver's word, as most tunnels say that they are Ethernet; else by IANA's number.
fn kind(adapter: &Adapter) -> LinkKind {
    let description = adapter.description.to_lowercase();
    let called = |words: &[&str]| words.iter().any(|word| description.contains(word));
    if called(&OVERLAYS) {
        return LinkKind::Overlay;
    }
    if called(&VPNS) {
        return LinkKind::Vpn;
    }
    if called(&VIRTUAL) {
        return LinkKind::Virtual;
    }
    match adapter.if_type {
        6 => LinkKind::Ethernet,
        71 => LinkKind::Wifi,
        243 | 244 => LinkKind::Cellular,
        23 | 53 | 131 => LinkKind::Vpn,
        _ => LinkKind::Other,
    }
}

/// Default routes, the one in use first: the lowest sum of the route's metric and its interface's. Two halves of
/// the address space count as one before it, as VPN clients use them.
pub(super) fn default_routes(rows: &[RouteRow], adapters: &[Adapter]) -> Vec<DefaultRoute> {
    let route = |row: &RouteRow| {
        if row.length > 1 || !row.destination.is_unspecified() {
            return None;
        }
        let adapter = adapters.iter().find(|adapter| adapter.index == row.index && adapter.status == UP)?;
        let (six, gateway) = match row.next_hop {
            IpAddr::V4(hop) => (false, Some(hop).filter(|hop| !hop.is_unspecified())),
            IpAddr::V6(_) => (true, None),
        };
        let rank = (six || row.length == 0, row.metric.saturating_add(adapter.metric));
        Some((six, DefaultRoute { interface: adapter.name.clone(), gateway, rank }))
    };
    let mut routes: Vec<_> = rows.iter().filter_map(route).collect();
    routes.sort_by_key(|(six, route)| (*six, route.rank));
    routes.into_iter().map(|(_, route)| route).collect()
}

/// Neighbours whose hardware addresses are known.
pub(super) fn neighbours(rows: &[NeighbourRow], adapters: &[Adapter]) -> Vec<ArpEntry> {
    let entry = |row: &NeighbourRow| {
        let adapter = adapters.iter().find(|adapter| adapter.index == row.index)?;
        let entry =
            ArpEntry { address: row.address, mac: mac(&row.physical)?, interface: adapter.name.clone() };
        KNOWN.contains(&row.state).then_some(entry)
    };
    rows.iter().filter_map(entry).collect()
}

fn mac(physical: &[u8]) -> Option<Mac> {
    Mac(physical.try_into().ok()?).one_machine()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(index: u32, name: &str, description: &str, if_type: u32, metric: u32) -> Adapter {
        Adapter {
            name: name.into(),
            index,
            description: description.into(),
            if_type,
            status: UP,
            physical: vec![0x3c, 0x6a, 0xa7, 0, 0, 1],
            metric,
            dhcp: None,
        }
    }

    fn laptop() -> Vec<Adapter> {
        vec![
            adapter(12, "wireless_32768", "Intel(R) Wi-Fi 6E AX211 160MHz", 71, 30),
            adapter(5, "ethernet_32770", "Realtek USB GbE Family Controller", 6, 25),
            adapter(30, "iftype53_32769", "Tailscale Tunnel", 53, 5),
            adapter(31, "ethernet_32771", "Cisco AnyConnect Virtual Miniport Adapter", 6, 5),
            adapter(40, "ethernet_32772", "Hyper-V Virtual Ethernet Adapter", 6, 5000),
            adapter(1, "loopback_0", "Software Loopback Interface 1", 24, 75),
            Adapter { status: 2, ..adapter(9, "ethernet_1", "Intel(R) Ethernet", 6, 5) },
        ]
    }

    #[test]
    fn a_docked_laptops_adapters_are_what_they_are() {
        let kinds: Vec<LinkKind> = links(&laptop()).iter().map(|link| link.kind).collect();
        assert_eq!(
            kinds,
            [LinkKind::Wifi, LinkKind::Ethernet, LinkKind::Overlay, LinkKind::Vpn, LinkKind::Virtual]
        );
    }

    #[test]
    fn the_route_in_use_has_the_lowest_sum_of_metrics_and_a_vpns_halves_come_first() {
        let row = |index, destination: &str, length, next_hop: &str, metric| RouteRow {
            index,
            destination: destination.parse().unwrap(),
            length,
            next_hop: next_hop.parse().unwrap(),
            metric,
        };
        let mut rows = vec![
            row(12, "0.0.0.0", 0, "192.168.1.1", 0),
            row(5, "0.0.0.0", 0, "192.168.1.1", 0),
            row(12, "::", 0, "fe80::1", 0),
            row(5, "192.168.1.0", 24, "0.0.0.0", 0),
            row(9, "0.0.0.0", 0, "10.0.0.1", 0),
        ];
        let names = |rows: &[RouteRow]| -> Vec<String> {
            default_routes(rows, &laptop()).into_iter().map(|route| route.interface).collect()
        };
        assert_eq!(names(&rows), ["ethernet_32770", "wireless_32768", "wireless_32768"]);
        rows.push(row(31, "0.0.0.0", 1, "0.0.0.0", 1));
        assert_eq!(names(&rows)[0], "ethernet_32771");
    }

    #[test]
    fn only_neighbours_that_answered_are_known() {
        let row = |state, physical: &[u8]| NeighbourRow {
            index: 12,
            address: [192, 168, 1, 1].into(),
            physical: physical.to_vec(),
            state,
        };
        let gateway = [0x94, 0x83, 0xc4, 1, 2, 3];
        let rows = [row(5, &gateway), row(1, &gateway), row(5, &[0; 6]), row(5, &[]), row(0, &[])];
        let found = neighbours(&rows, &laptop());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].interface, "wireless_32768");
    }

    proptest::proptest! {
        #[test]
        fn tables_of_any_kind_lead_to_adapters_that_are_up_and_no_further(
            rows in proptest::collection::vec((0u32..50, 0u8..=128, proptest::num::u32::ANY, proptest::num::u128::ANY), 0..40),
            physical in proptest::collection::vec(proptest::num::u8::ANY, 0..12),
            state: i32,
        ) {
            let adapters = laptop();
            let up: Vec<String> = links(&adapters).into_iter().map(|link| link.name).collect();
            let address = |number: u128, six: bool| {
                if six { IpAddr::from(number.to_be_bytes()) } else { Ipv4Addr::from_bits(u32::try_from(number & 0xffff_ffff).unwrap()).into() }
            };
            let routes: Vec<RouteRow> = rows
                .iter()
                .map(|(index, length, metric, number)| RouteRow {
                    index: *index,
                    destination: address(*number & 1, index % 2 == 0),
                    length: *length,
                    next_hop: address(*number, index % 2 == 0),
                    metric: *metric,
                })
                .collect();
            let routes = default_routes(&routes, &adapters);
            proptest::prop_assert!(routes.iter().all(|route| up.contains(&route.interface) || route.interface == "loopback_0"));
            let found: Vec<NeighbourRow> = rows
                .iter()
                .map(|(index, _, _, number)| NeighbourRow {
                    index: *index,
                    address: Ipv4Addr::from_bits(u32::try_from(number & 0xffff_ffff).unwrap()),
                    physical: physical.clone(),
                    state,
                })
                .collect();
            let known = neighbours(&found, &adapters);
            proptest::prop_assert!(known.is_empty() || (physical.len() == 6 && KNOWN.contains(&state)));
        }
    }
}
