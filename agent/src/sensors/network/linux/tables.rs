//! The kernel's tables of routes and of hardware addresses: `/proc/net/{route,ipv6_route,arp}`, as text.

use std::net::Ipv4Addr;

use super::super::mac::Mac;
use super::super::segment::{ArpEntry, DefaultRoute};

/// A route that is up.
const UP: u32 = 0x1;
/// A route that refuses (`RTF_REJECT`).
const REJECT: u32 = 0x200;
/// An entry of the ARP table that is known to be true (`ATF_COM`).
const COMPLETE: u32 = 0x2;

/// Default routes, the one in use first. Two halves of the address space (`0.0.0.0/1` and its twin), by which
/// VPN clients outbid the default route without touching it, count as one before it.
pub fn default_routes(ipv4: &str, ipv6: &str) -> Vec<DefaultRoute> {
    let mut routes: Vec<DefaultRoute> = ipv4.lines().filter_map(ipv4_default).collect();
    routes.sort_by_key(|route| route.rank);
    let mut six: Vec<DefaultRoute> = ipv6.lines().filter_map(ipv6_default).collect();
    six.sort_by_key(|route| route.rank);
    routes.append(&mut six);
    routes
}

/// `eth0 00000000 0102A8C0 0003 0 0 100 00000000 …`: numbers in hexadecimal, addresses byte-swapped.
fn ipv4_default(line: &str) -> Option<DefaultRoute> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [interface, destination, gateway, flags, _, _, metric, mask, ..] = columns[..] else { return None };
    let address = |text: &str| u32::from_str_radix(text, 16).ok().map(|n| Ipv4Addr::from(n.swap_bytes()));
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let length = u32::from(address(mask)?).leading_ones();
    if !address(destination)?.is_unspecified() || length > 1 || flags & UP == 0 || flags & REJECT != 0 {
        return None;
    }
    Some(DefaultRoute {
        interface: interface.to_owned(),
        gateway: address(gateway).filter(|g| !g.is_unspecified()),
        rank: (length == 0, metric.parse().ok()?),
    })
}

/// `000…0 00 000…0 00 fe80…1 00000400 00000001 00000000 00000003 eth0`.
fn ipv6_default(line: &str) -> Option<DefaultRoute> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [destination, length, _, _, _, metric, _, _, flags, interface] = columns[..] else { return None };
    let flags = u32::from_str_radix(flags, 16).ok()?;
    let everywhere = length == "00" && destination.bytes().all(|b| b == b'0');
    if !everywhere || flags & UP == 0 || flags & REJECT != 0 || interface == "lo" {
        return None;
    }
    let rank = (true, u32::from_str_radix(metric, 16).ok()?);
    Some(DefaultRoute { interface: interface.to_owned(), gateway: None, rank })
}

/// The complete entries of the ARP table: `192.168.1.1 0x1 0x2 b8:27:eb:01:02:03 * eth0`.
pub fn arp(table: &str) -> Vec<ArpEntry> {
    table.lines().filter_map(arp_entry).collect()
}

fn arp_entry(line: &str) -> Option<ArpEntry> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [address, _, flags, mac, _, interface] = columns[..] else { return None };
    let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
    if flags & COMPLETE == 0 {
        return None;
    }
    Some(ArpEntry { address: address.parse().ok()?, mac: Mac::parse(mac)?, interface: interface.to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn interfaces(routes: &[DefaultRoute]) -> Vec<&str> {
        routes.iter().map(|route| route.interface.as_str()).collect()
    }

    #[test]
    fn the_cable_is_preferred_to_wifi_and_the_gateway_is_read() {
        let table = format!(
            "{HEAD}wlp3s0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
             enp0s31f6\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             enp0s31f6\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
        );
        let routes = default_routes(&table, "");
        assert_eq!(interfaces(&routes), ["enp0s31f6", "wlp3s0"]);
        assert_eq!(routes[0].gateway, Some(Ipv4Addr::new(192, 168, 1, 1)));
    }

    #[test]
    fn a_vpn_that_takes_two_halves_carries_the_traffic() {
        let table = format!(
            "{HEAD}eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
             tun0\t00000000\t0100080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
             tun0\t00000080\t0100080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
        );
        assert_eq!(interfaces(&default_routes(&table, "")), ["tun0", "eth0"]);
    }

    #[test]
    fn ipv6_alone_is_a_way_out_and_a_refusing_route_is_none() {
        let zero = "00000000000000000000000000000000";
        let via = "fe800000000000000000000000000001";
        let table = format!(
            "{zero} 00 {zero} 00 {via} 00000064 00000001 00000000 00000003   wlan0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(interfaces(&default_routes("", &table)), ["wlan0"]);
    }

    #[test]
    fn only_complete_arp_entries_of_single_machines_count() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
             192.168.1.1      0x1         0x2         b8:27:eb:01:02:03     *        eth0\n\
             192.168.1.9      0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        let entries = arp(table);
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].mac.to_string(), "b8:27:eb:01:02:03");
    }

    proptest! {
        #[test]
        fn tables_of_junk_are_empty_and_never_panic(text in "\\PC{0,400}", line in "[0-9a-fA-F \\t\\n]{0,300}") {
            let _ = (default_routes(&text, &line), default_routes(&line, &text), arp(&text), arp(&line));
        }
    }
}
