//! Interfaces, routes and neighbours from what `ifconfig`, `netstat -rnl` and `arp -an` print, and from the system's
//! list of network hardware.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use farmwatch_shared::facts::LinkKind;

use super::mac::Mac;
use super::segment::{ArpEntry, DefaultRoute, Link};
use crate::apple::plist::{Plist, text};

/// Most interfaces and most entries of a table.
const MOST_LINKS: usize = 256;
const MOST_ENTRIES: usize = 4096;

/// What each interface is, by `/Library/Preferences/SystemConfiguration/NetworkInterfaces.plist`.
pub(super) fn hardware(list: &Plist) -> BTreeMap<String, LinkKind> {
    let interfaces =
        list.dict().and_then(|dict| dict.get("Interfaces")).map(Plist::array).unwrap_or_default();
    let kind = |entry: &Plist| {
        let dict = entry.dict()?;
        let kind = match text(dict, "SCNetworkInterfaceType")?.as_str() {
            "IEEE80211" => LinkKind::Wifi,
            "Ethernet" | "FireWire" => LinkKind::Ethernet,
            "WWAN" | "Modem" => LinkKind::Cellular,
            _ => LinkKind::Other,
        };
        Some((text(dict, "BSD Name")?, kind))
    };
    interfaces.iter().take(MOST_LINKS).filter_map(kind).collect()
}

/// Interfaces that are up, from `ifconfig`. An interface's lines are indented below its first.
pub(super) fn links(ifconfig: &str, hardware: &BTreeMap<String, LinkKind>) -> Vec<Link> {
    let mut links: Vec<(Link, bool)> = Vec::new();
    let mut bridged: Vec<String> = Vec::new();
    for line in ifconfig.lines() {
        if !line.starts_with([' ', '\t']) {
            let Some((name, rest)) = line.split_once(": flags=") else { continue };
            let flags = rest.split_once('<').and_then(|(_, f)| f.split_once('>')).map_or("", |(f, _)| f);
            let has = |flag| flags.split(',').any(|f| f == flag);
            let up = has("UP") && has("RUNNING") && !has("LOOPBACK");
            let kind = kind(name, hardware);
            links.push((Link { name: name.into(), index: None, kind, mac: None, bridged: false }, up));
            if links.len() > MOST_LINKS {
                break;
            }
            continue;
        }
        let Some((link, up)) = links.last_mut() else { continue };
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("ether"), Some(address)) => link.mac = mac(address),
            (Some("status:"), Some("inactive")) => *up = false,
            (Some("member:"), Some(port)) => bridged.push(port.to_owned()),
            _ => {}
        }
    }
    let up = links.into_iter().filter(|(_, up)| *up).map(|(link, _)| link);
    up.map(|link| Link { bridged: bridged.contains(&link.name), ..link }).collect()
}

/// By the hardware's list, else by name. Apple's own private links (AirDrop, Sidecar, the T2's) say nothing.
fn kind(name: &str, hardware: &BTreeMap<String, LinkKind>) -> LinkKind {
    if let Some(kind) = hardware.get(name) {
        return *kind;
    }
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    match letters {
        "utun" | "ppp" | "ipsec" | "tun" | "tap" => LinkKind::Vpn,
        "zt" | "feth" => LinkKind::Overlay,
        "bridge" | "vmnet" | "vmenet" | "vnic" | "awdl" | "llw" | "anpi" | "p" | "ap" | "stf" | "gif" => {
            LinkKind::Virtual
        }
        "en" => LinkKind::Ethernet,
        _ => LinkKind::Other,
    }
}

/// Default routes from `netstat -rnl`, the one in use first: those of an interface alone (flag `I`) count only for
/// programs that ask for it. Two halves of the address space, by which VPN clients outbid the default route, count
/// as one before it.
pub(super) fn default_routes(netstat: &str) -> Vec<DefaultRoute> {
    let mut routes = Vec::new();
    let (mut six, mut columns) = (false, None);
    for line in netstat.lines().take(MOST_ENTRIES) {
        match line.trim() {
            "Internet:" => six = false,
            "Internet6:" => six = true,
            head if head.starts_with("Destination") => {
                columns = head.split_whitespace().position(|column| column == "Netif");
            }
            _ => routes.extend(columns.and_then(|column| default_route(line, six, column, routes.len()))),
        }
    }
    routes.sort_by_key(|route: &DefaultRoute| route.rank);
    routes
}

fn default_route(line: &str, six: bool, netif: usize, place: usize) -> Option<DefaultRoute> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (destination, gateway, flags) = (*words.first()?, *words.get(1)?, *words.get(2)?);
    let half = !six && (destination == "0/1" || destination == "0.0.0.0/1");
    if !(half || destination == "default") || !flags.starts_with('U') || flags.contains(['I', 'R', 'B']) {
        return None;
    }
    let place = u32::try_from(place).unwrap_or(u32::MAX) + if six { 1 << 16 } else { 0 };
    Some(DefaultRoute {
        interface: (*words.get(netif)?).to_owned(),
        gateway: gateway.parse::<Ipv4Addr>().ok().filter(|address| !address.is_unspecified()),
        rank: (!half, place),
    })
}

/// Who answers for which address, from `arp -an`: `? (192.168.1.254) at fc:ae:34:a1:3a:80 on en0 ifscope [ethernet]`.
pub(super) fn arp(text: &str) -> Vec<ArpEntry> {
    let entry = |line: &str| {
        let (_, rest) = line.split_once('(')?;
        let (address, rest) = rest.split_once(") at ")?;
        let (hardware, rest) = rest.split_once(" on ")?;
        let interface = rest.split_whitespace().next()?;
        // The laptop's own entries are permanent.
        if rest.split_whitespace().any(|word| word == "permanent") {
            return None;
        }
        Some(ArpEntry {
            address: address.parse().ok()?,
            mac: mac(hardware)?,
            interface: interface.to_owned(),
        })
    };
    text.lines().take(MOST_ENTRIES).filter_map(entry).collect()
}

/// The DHCP server of an interface, from `ipconfig getpacket en0`: `server_identifier (ip): 192.168.1.254`.
pub(super) fn dhcp_server(packet: &str) -> Option<Ipv4Addr> {
    let line = packet.lines().find_map(|line| line.trim().strip_prefix("server_identifier (ip):"))?;
    line.trim().parse().ok()
}

/// macOS leaves leading zeros out: `d0:3:4b:3b:27:d5`.
fn mac(text: &str) -> Option<Mac> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| (1..=2).contains(&part.len()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    if parts.next().is_some() { None } else { Mac(bytes).one_machine() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::{plist, recording};

    #[test]
    fn a_macbooks_interfaces_are_told_apart() {
        let hardware = hardware(&plist("NetworkInterfaces.plist"));
        assert_eq!((hardware["en0"], hardware["en1"]), (LinkKind::Wifi, LinkKind::Ethernet));
        let links = links(&recording("ifconfig.txt"), &hardware);
        let told: Vec<_> = links.iter().map(|link| (link.name.as_str(), link.kind)).collect();
        assert!(told.contains(&("en0", LinkKind::Wifi)), "{told:?}");
        assert!(told.contains(&("awdl0", LinkKind::Virtual)) && !told.iter().any(|(name, _)| *name == "lo0"));
        assert!(!told.iter().any(|(name, _)| ["en1", "p2p0", "stf0"].contains(name)), "inactive or down");
        assert_eq!(
            links.iter().find(|link| link.name == "en0").unwrap().mac.unwrap().to_string(),
            "f0:18:98:03:d9:30"
        );
    }

    #[test]
    fn the_default_route_is_wifis_and_tunnels_of_one_interface_only_are_none() {
        let routes = default_routes(&recording("netstat-rn.txt"));
        let told: Vec<_> = routes.iter().map(|route| (route.interface.as_str(), route.gateway)).collect();
        assert_eq!(told, [("en0", Some(Ipv4Addr::new(192, 168, 1, 254))), ("en0", None)]);
    }

    #[test]
    fn a_vpn_that_takes_two_halves_carries_the_traffic() {
        // As wireguard-tools' pull request 8 shows it: macOS 11 has fewer columns.
        let text = "Internet:\nDestination        Gateway            Flags        Netif Expire\n\
                    0/1                utun0              UScg         utun0\n\
                    default            192.168.1.254      UGScg          en0\n";
        let routes = default_routes(text);
        assert_eq!(routes.iter().map(|route| route.interface.as_str()).collect::<Vec<_>>(), ["utun0", "en0"]);
        assert_eq!(routes[0].gateway, None);
    }

    #[test]
    fn neighbours_are_read_with_their_missing_zeros_and_groups_are_none() {
        let entries = arp(&recording("arp-a.txt"));
        assert_eq!(entries.len(), 9, "less the laptop's own and two groups");
        let outside = entries.iter().find(|entry| entry.address == Ipv4Addr::new(192, 168, 1, 99)).unwrap();
        assert_eq!(
            (outside.mac.to_string().as_str(), outside.interface.as_str()),
            ("d0:03:4b:3b:27:d5", "en0")
        );
    }

    #[test]
    fn the_dhcp_server_names_itself() {
        assert_eq!(
            dhcp_server("lease_time (uint32): 0x15180\nserver_identifier (ip): 10.0.1.1\n"),
            Some(Ipv4Addr::new(10, 0, 1, 1))
        );
        assert_eq!(dhcp_server("server_identifier (ip): junk"), None);
    }

    proptest! {
        #[test]
        fn junk_and_cut_outputs_never_panic(junk in "\\PC{0,300}", end in 0usize..4000) {
            let mut texts = vec![junk];
            for name in ["ifconfig.txt", "netstat-rn.txt", "arp-a.txt"] {
                texts.push(recording(name).chars().take(end).collect());
            }
            for text in &texts {
                let _ = (links(text, &BTreeMap::new()), default_routes(text), arp(text), dhcp_server(text));
            }
        }
    }
}
