//! Interfaces, routes and neighbours from what the kernel's routing tables hold (`sysctl` of `PF_ROUTE`): messages,
//! each with a header and addresses behind it, as route(4), if.h and route.h of XNU say. The layout is the same on
//! both processors; `macos.rs` has the compiler compare it with libc's structures.

use std::net::Ipv4Addr;

use super::mac::Mac;
use super::segment::{ArpEntry, DefaultRoute};

/// Bytes of the headers: `rt_msghdr`, `if_msghdr`, `ifa_msghdr`.
pub(super) const ROUTE: usize = 92;
pub(super) const INTERFACE: usize = 112;
pub(super) const ADDRESS: usize = 20;
/// Kinds of messages: a route (`RTM_GET`), an interface (`RTM_IFINFO`), one of its addresses (`RTM_NEWADDR`).
const RTM_GET: u8 = 4;
const RTM_IFINFO: u8 = 0xe;
const RTM_NEWADDR: u8 = 0xc;
/// `RTM_VERSION`.
const VERSION: u8 = 5;
/// Flags of a route: up, through a gateway, to one host, refused, thrown away, of one interface alone.
const UP: u32 = 0x1;
const REJECT: u32 = 0x8;
const BLACKHOLE: u32 = 0x1000;
const OF_ONE_INTERFACE: u32 = 0x100_0000;
/// Flags of an interface: up, loopback, running.
const IF_UP: u32 = 0x1;
const IF_LOOPBACK: u32 = 0x8;
const IF_RUNNING: u32 = 0x40;
/// Bits of the addresses behind a header, in their order: destination, gateway, mask, cloning mask, interface, its
/// address.
const ADDRESSES: usize = 8;
const DESTINATION: usize = 0;
const GATEWAY: usize = 1;
const MASK: usize = 2;
const LINK: usize = 4;
const OWN: usize = 5;
/// Families of addresses.
const AF_INET: u8 = 2;
const AF_LINK: u8 = 18;
const AF_INET6: u8 = 30;
/// Most messages of one table.
const MOST: usize = 1 << 14;

/// An interface as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    /// Its number.
    pub(super) index: u16,
    /// Its name.
    pub(super) name: String,
    /// Its hardware address.
    pub(super) mac: Option<Mac>,
    /// It is up, runs, is not the loopback, and has an address: what has no cable loses its own.
    pub(super) up: bool,
}

/// Interfaces from `NET_RT_IFLIST`: each followed by its addresses.
pub(super) fn interfaces(table: &[u8]) -> Vec<Interface> {
    let mut found: Vec<Interface> = Vec::new();
    let mut runs = false;
    for message in Messages(table).take(MOST) {
        match message.kind {
            RTM_IFINFO => {
                let (Some(flags), Some(index)) = (message.word(8), message.half(12)) else { continue };
                runs = flags & (IF_UP | IF_RUNNING | IF_LOOPBACK) == IF_UP | IF_RUNNING;
                let link = message.addresses(INTERFACE, 4)[LINK];
                let Some((name, mac)) = link.and_then(link_address) else { continue };
                found.push(Interface { index, name, mac, up: false });
            }
            RTM_NEWADDR => {
                let own = message.addresses(ADDRESS, 4)[OWN].and_then(|own| own.get(1));
                let Some(last) = found.last_mut().filter(|last| Some(last.index) == message.half(12)) else {
                    continue;
                };
                last.up |= runs && own.is_some_and(|family| [AF_INET, AF_INET6].contains(family));
            }
            _ => {}
        }
    }
    found
}

/// Default routes from `NET_RT_DUMP`, the one in use first: those of an interface alone count only for programs that
/// ask for it. Two halves of the address space, by which VPN clients outbid the default route, count as one before it.
pub(super) fn default_routes(table: &[u8], interfaces: &[Interface]) -> Vec<DefaultRoute> {
    let mut routes: Vec<DefaultRoute> = Vec::new();
    for (place, message) in Messages(table).take(MOST).enumerate() {
        routes.extend(default_route(&message, interfaces, place));
    }
    routes.sort_by_key(|route| route.rank);
    routes
}

fn default_route(message: &Message<'_>, interfaces: &[Interface], place: usize) -> Option<DefaultRoute> {
    let flags = message.word(8)?;
    if message.kind != RTM_GET || flags & UP == 0 || flags & (REJECT | BLACKHOLE | OF_ONE_INTERFACE) != 0 {
        return None;
    }
    let addresses = message.addresses(ROUTE, 12);
    let destination = addresses[DESTINATION]?;
    let six = match *destination.get(1)? {
        AF_INET => false,
        AF_INET6 => true,
        _ => return None,
    };
    let to = destination.get(if six { 8..24 } else { 4..8 })?;
    if to.iter().any(|byte| *byte != 0) {
        return None;
    }
    let ones = ones(addresses[MASK], if six { 8 } else { 4 });
    let half = ones == 1 && !six;
    if ones != 0 && !half {
        return None;
    }
    let index = message.half(4)?;
    let interface = interfaces.iter().find(|interface| interface.index == index)?;
    let place = u32::try_from(place).unwrap_or(u32::MAX) + if six { 1 << 16 } else { 0 };
    Some(DefaultRoute {
        interface: interface.name.clone(),
        gateway: addresses[GATEWAY].and_then(ipv4).filter(|address| !address.is_unspecified()),
        rank: (!half, place),
    })
}

/// Bits of a mask that are set; the kernel leaves out zeros at its end, and the whole of a mask of none.
fn ones(mask: Option<&[u8]>, start: usize) -> u32 {
    let bytes = mask.and_then(|mask| mask.get(start..)).unwrap_or_default();
    bytes.iter().map(|byte| byte.count_ones()).sum()
}

/// Who answers for which address, from `NET_RT_FLAGS` of `RTF_LLINFO`. The laptop's own entries lead to the loopback
/// and are left out.
pub(super) fn neighbours(table: &[u8], interfaces: &[Interface]) -> Vec<ArpEntry> {
    let entry = |message: Message<'_>| {
        let addresses = message.addresses(ROUTE, 12);
        let address = ipv4(addresses[DESTINATION]?)?;
        let gateway = addresses[GATEWAY].filter(|gateway| gateway.get(1) == Some(&AF_LINK))?;
        let index = u16::from_ne_bytes([*gateway.get(2)?, *gateway.get(3)?]);
        let mac = link_address(gateway)?.1?.one_machine()?;
        let interface = interfaces.iter().find(|interface| interface.index == index)?;
        let own = interface.mac == Some(mac);
        (!own).then(|| ArpEntry { address, mac, interface: interface.name.clone() })
    };
    Messages(table).take(MOST).filter(|message| message.kind == RTM_GET).filter_map(entry).collect()
}

fn ipv4(address: &[u8]) -> Option<Ipv4Addr> {
    match *address.get(..8)? {
        [_, AF_INET, _, _, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

/// Name and hardware address of a `sockaddr_dl`: lengths of both at 5 and 6, both from 8 on.
fn link_address(address: &[u8]) -> Option<(String, Option<Mac>)> {
    if *address.get(1)? != AF_LINK {
        return None;
    }
    let (name, hardware) = (usize::from(*address.get(5)?), usize::from(*address.get(6)?));
    let text = String::from_utf8_lossy(address.get(8..8 + name)?).into_owned();
    let mac = address.get(8 + name..8 + name + hardware).and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    Some((text, mac.map(Mac)))
}

/// The messages of a table.
struct Messages<'a>(&'a [u8]);

/// One of them, header and all.
struct Message<'a> {
    kind: u8,
    bytes: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = usize::from(u16::from_ne_bytes([*self.0.first()?, *self.0.get(1)?]));
        // A message that says it is shorter than what says so would never end.
        let bytes = self.0.get(..length).filter(|_| length >= 4)?;
        self.0 = &self.0[length..];
        if bytes[2] == VERSION { Some(Message { kind: bytes[3], bytes }) } else { None }
    }
}

impl<'a> Message<'a> {
    fn half(&self, at: usize) -> Option<u16> {
        Some(u16::from_ne_bytes(self.bytes.get(at..at + 2)?.try_into().ok()?))
    }

    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
    }

    /// The addresses behind a header of so many bytes, by their bits in the word at `bits`; each begins with its
    /// length and takes a multiple of four bytes.
    fn addresses(&self, header: usize, bits: usize) -> [Option<&'a [u8]>; ADDRESSES] {
        let mut found = [None; ADDRESSES];
        let bits = self.word(bits).unwrap_or(0);
        let mut rest = self.bytes.get(header..).unwrap_or_default();
        for (place, slot) in found.iter_mut().enumerate() {
            if bits >> place & 1 == 0 {
                continue;
            }
            let Some(length) = rest.first().map(|length| usize::from(*length)) else { break };
            *slot = rest.get(..length);
            rest = rest.get(length.max(1).next_multiple_of(4)..).unwrap_or_default();
        }
        found
    }
}

#[cfg(test)]
#[path = "route_messages_tests.rs"]
mod tests;
