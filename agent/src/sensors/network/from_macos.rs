//! What each interface is, from the system's list of network hardware, and DHCP's leases. Tables of the kernel's are
//! read in `route_messages.rs`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use farmwatch_shared::facts::LinkKind;

use super::route_messages::Interface;
use super::segment::Link;
use crate::apple::plist::{Plist, data, text};

/// Most interfaces.
const MOST_LINKS: usize = 256;
/// Where a DHCP packet's options begin (RFC 2131), with the four bytes that say so.
const OPTIONS: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Options: padding, the server's identifier, the end (RFC 2132).
const PAD: u8 = 0;
const SERVER: u8 = 54;
const END: u8 = 255;

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

/// Interfaces that are up. Ports of a bridge have no address of their own and are not.
pub(super) fn links(interfaces: &[Interface], hardware: &BTreeMap<String, LinkKind>) -> Vec<Link> {
    let link = |interface: &Interface| Link {
        name: interface.name.clone(),
        index: Some(interface.index.into()),
        kind: kind(&interface.name, hardware),
        mac: interface.mac.and_then(super::mac::Mac::one_machine),
        bridged: false,
    };
    interfaces.iter().filter(|interface| interface.up).take(MOST_LINKS).map(link).collect()
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

/// A file of `/var/db/dhcpclient/leases` is of this interface: `en0.plist`, until macOS 10.15 `en0-1,f0:18:98:3:d9:30`.
pub(super) fn is_lease_of(file: &str, interface: &str) -> bool {
    file.strip_prefix(interface).is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// The DHCP server that gave a lease: an option of the packet that is kept with it.
pub(super) fn dhcp_server(lease: &Plist) -> Option<Ipv4Addr> {
    let packet = data(lease.dict()?, "PacketData")?;
    let mut options = packet.get(OPTIONS..)?.strip_prefix(&COOKIE)?;
    while let Some((code, rest)) = options.split_first() {
        match *code {
            PAD => options = rest,
            END => return None,
            code => {
                let (length, rest) = rest.split_first()?;
                let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                if code == SERVER {
                    return <[u8; 4]>::try_from(value).ok().map(Ipv4Addr::from);
                }
                options = rest;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::plist;
    use crate::apple::plist::Dict;

    #[test]
    fn a_macbooks_interfaces_are_what_its_list_says() {
        let hardware = hardware(&plist("NetworkInterfaces.plist"));
        assert_eq!((hardware["en0"], hardware["en1"]), (LinkKind::Wifi, LinkKind::Ethernet));
        let interface = |name: &str, up| Interface { index: 1, name: name.into(), mac: None, up };
        let up = [interface("en0", true), interface("awdl0", true), interface("utun3", true)];
        let links = links(&[&up[..], &[interface("en1", false)]].concat(), &hardware);
        let told: Vec<_> = links.iter().map(|link| (link.name.as_str(), link.kind)).collect();
        assert_eq!(told, [("en0", LinkKind::Wifi), ("awdl0", LinkKind::Virtual), ("utun3", LinkKind::Vpn)]);
    }

    fn lease(options: &[u8]) -> Plist {
        let packet = [&[0; OPTIONS][..], &COOKIE, options].concat();
        Plist::Dict(Dict::from([("PacketData".to_owned(), Plist::Data(packet))]))
    }

    #[test]
    fn the_dhcp_server_names_itself() {
        let server = dhcp_server(&lease(&[53, 1, 5, 0, 54, 4, 10, 0, 1, 1, 255]));
        assert_eq!(server, Some(Ipv4Addr::new(10, 0, 1, 1)));
        assert_eq!(dhcp_server(&lease(&[53, 1, 5, 255, 54, 4, 10, 0, 1, 1])), None, "after the end");
        assert_eq!(dhcp_server(&lease(&[54, 200, 10])), None, "longer than the packet");
        assert_eq!(dhcp_server(&lease(&vec![0; 1 << 20])), None);
        assert!(is_lease_of("en0.plist", "en0") && is_lease_of("en0-1,f0:18:98:3:d9:30", "en0"));
        assert!(!is_lease_of("en01.plist", "en0") && !is_lease_of("en0", "en0"));
    }

    proptest! {
        #[test]
        fn junk_is_no_lease(junk in prop::collection::vec(any::<u8>(), 0..300), file in "\\PC{0,20}") {
            let _ = (dhcp_server(&lease(&junk)), is_lease_of(&file, "en0"), kind(&file, &BTreeMap::new()));
            let short = Plist::Dict(Dict::from([("PacketData".to_owned(), Plist::Data(junk))]));
            prop_assert_eq!(dhcp_server(&short), None);
        }
    }
}
