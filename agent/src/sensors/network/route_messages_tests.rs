//! Messages put together by route(4), with the values of the recordings `netstat-rn.txt`, `ifconfig.txt` and
//! `arp-a.txt` of a MacBook.

use proptest::prelude::*;

use super::*;

const WIFI: [u8; 6] = [0xf0, 0x18, 0x98, 0x03, 0xd9, 0x30];
const GATEWAY_MAC: [u8; 6] = [0xfc, 0xae, 0x34, 0xa1, 0x3a, 0x80];

/// A message: kind, the word at 4, the word at 8, the half word at 12, the word at 12 where it is one, addresses.
fn message(kind: u8, header: usize, fields: &[(usize, &[u8])], addresses: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0u8; header];
    bytes[2] = VERSION;
    bytes[3] = kind;
    for (at, field) in fields {
        bytes[*at..at + field.len()].copy_from_slice(field);
    }
    let bits: u32 = addresses.iter().map(|(place, _)| 1 << place).sum();
    let at = if header == ROUTE { 12 } else { 4 };
    bytes[at..at + 4].copy_from_slice(&bits.to_ne_bytes());
    for (_, address) in addresses {
        bytes.extend(address);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[..2].copy_from_slice(&length.to_ne_bytes());
    bytes
}

fn inet(address: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![16, AF_INET, 0, 0];
    bytes.extend(address);
    bytes.resize(16, 0);
    bytes
}

fn inet6() -> Vec<u8> {
    let mut bytes = vec![0u8; 28];
    (bytes[0], bytes[1]) = (28, AF_INET6);
    bytes
}

fn link(index: u16, name: &str, mac: &[u8]) -> Vec<u8> {
    let mut bytes = vec![20, AF_LINK];
    bytes.extend(index.to_ne_bytes());
    bytes.extend([6, u8::try_from(name.len()).unwrap(), u8::try_from(mac.len()).unwrap(), 0]);
    bytes.extend(name.as_bytes());
    bytes.extend(mac);
    bytes.resize(20.max(bytes.len()), 0);
    bytes[0] = u8::try_from(bytes.len()).unwrap();
    bytes
}

fn interface(index: u16, name: &str, mac: &[u8], flags: u32, own: Option<Vec<u8>>) -> Vec<u8> {
    let head: [(usize, &[u8]); 2] = [(8, &flags.to_ne_bytes()), (12, &index.to_ne_bytes())];
    let mut bytes = message(RTM_IFINFO, INTERFACE, &head, &[(LINK, link(index, name, mac))]);
    if let Some(own) = own {
        let mask = inet([255, 255, 255, 0]);
        bytes.extend(message(
            RTM_NEWADDR,
            ADDRESS,
            &[(12, &index.to_ne_bytes())],
            &[(MASK, mask), (OWN, own)],
        ));
    }
    bytes
}

/// Wi-Fi, a socket without a cable, a tunnel, the loopback.
fn table() -> Vec<u8> {
    let runs = IF_UP | IF_RUNNING;
    [
        interface(1, "lo0", &[], runs | IF_LOOPBACK, Some(inet([127, 0, 0, 1]))),
        interface(5, "en0", &WIFI, runs, Some(inet([192, 168, 1, 228]))),
        interface(6, "en1", &[0x4a, 0, 0x06, 0x02, 0xe2, 0x40], runs, None),
        interface(11, "utun0", &[], runs, Some(inet6())),
        interface(12, "p2p0", &[2; 6], IF_UP, Some(inet([10, 0, 0, 1]))),
    ]
    .concat()
}

fn route(index: u16, flags: u32, addresses: &[(usize, Vec<u8>)]) -> Vec<u8> {
    message(RTM_GET, ROUTE, &[(4, &index.to_ne_bytes()), (8, &flags.to_ne_bytes())], addresses)
}

#[test]
fn a_macbooks_interfaces_are_told_apart() {
    let found = interfaces(&table());
    let told: Vec<_> = found.iter().map(|i| (i.name.as_str(), i.up)).collect();
    assert_eq!(told, [("lo0", false), ("en0", true), ("en1", false), ("utun0", true), ("p2p0", false)]);
    assert_eq!(found[1].mac.unwrap().to_string(), "f0:18:98:03:d9:30");
    assert_eq!(found[3].mac, None);
}

#[test]
fn the_default_route_is_wifis_and_routes_of_one_interface_only_are_none() {
    let any = || (DESTINATION, inet([0; 4]));
    let no_mask = || (MASK, vec![0u8]);
    let routes = [
        route(11, UP | OF_ONE_INTERFACE, &[any(), (GATEWAY, link(11, "", &[])), no_mask()]),
        route(5, UP | 2, &[any(), (GATEWAY, inet([192, 168, 1, 254])), no_mask()]),
        route(
            5,
            UP,
            &[
                (DESTINATION, inet([169, 254, 0, 0])),
                (GATEWAY, link(5, "", &[])),
                (MASK, vec![6, 0, 0, 0, 255, 255]),
            ],
        ),
        route(5, UP | REJECT, &[any(), (GATEWAY, inet([127, 0, 0, 1])), no_mask()]),
        route(5, UP | 2, &[(DESTINATION, inet6()), (GATEWAY, inet6()), no_mask()]),
    ]
    .concat();
    let found = default_routes(&routes, &interfaces(&table()));
    let told: Vec<_> = found.iter().map(|route| (route.interface.as_str(), route.gateway)).collect();
    assert_eq!(told, [("en0", Some(Ipv4Addr::new(192, 168, 1, 254))), ("en0", None)]);
}

#[test]
fn a_vpn_that_takes_two_halves_carries_the_traffic() {
    let half = vec![5, 0, 0, 0, 0x80];
    let routes = [
        route(
            5,
            UP | 2,
            &[(DESTINATION, inet([0; 4])), (GATEWAY, inet([192, 168, 1, 254])), (MASK, vec![0u8])],
        ),
        route(11, UP, &[(DESTINATION, inet([0; 4])), (GATEWAY, link(11, "utun0", &[])), (MASK, half)]),
    ]
    .concat();
    let found = default_routes(&routes, &interfaces(&table()));
    assert_eq!(found.iter().map(|route| route.interface.as_str()).collect::<Vec<_>>(), ["utun0", "en0"]);
    assert_eq!(found[0].gateway, None);
}

#[test]
fn neighbours_are_others_that_answered() {
    let entry = |address, index, mac: &[u8]| {
        route(index, UP | 4, &[(DESTINATION, inet(address)), (GATEWAY, link(index, "", mac))])
    };
    let entries = [
        entry([192, 168, 1, 254], 5, &GATEWAY_MAC),
        entry([192, 168, 1, 72], 5, &[]),
        entry([192, 168, 1, 228], 5, &WIFI),
        entry([224, 0, 0, 251], 5, &[1, 0, 0x5e, 0, 0, 0xfb]),
        entry([10, 9, 9, 9], 77, &GATEWAY_MAC),
    ]
    .concat();
    let found = neighbours(&entries, &interfaces(&table()));
    let told: Vec<_> = found.iter().map(|e| (e.address, e.mac.to_string(), e.interface.as_str())).collect();
    assert_eq!(told, [(Ipv4Addr::new(192, 168, 1, 254), "fc:ae:34:a1:3a:80".to_owned(), "en0")]);
}

#[test]
fn a_message_of_length_nothing_ends_the_table_and_a_million_messages_are_bounded() {
    assert!(interfaces(&[0, 0, VERSION, RTM_IFINFO, 1, 2, 3]).is_empty());
    let many = [4u8, 0, VERSION, 99].repeat(1_000_000);
    assert!(interfaces(&many).is_empty());
    let many = interface(5, "en0", &WIFI, IF_UP, None).repeat(2 * MOST);
    assert_eq!(interfaces(&many).len(), MOST);
}

proptest! {
    #[test]
    fn junk_and_cut_and_changed_tables_never_panic(
        junk in prop::collection::vec(any::<u8>(), 0..300), end in 0usize..900, at: usize, byte: u8,
    ) {
        let mut bytes = table();
        bytes.extend(route(5, UP | 2, &[(DESTINATION, inet([0; 4])), (GATEWAY, link(5, "en0", &GATEWAY_MAC))]));
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(end);
        let known = interfaces(&table());
        for table in [&junk, &bytes] {
            let _ = (interfaces(table), default_routes(table, &known), neighbours(table, &known));
        }
    }
}
