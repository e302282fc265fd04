//! macOS: the kernel's routing tables, DHCP's leases, and the system's list of network hardware.

use std::net::Ipv4Addr;
use std::path::Path;

use jiff::Timestamp;

use super::segment::{self, has_neighbours, stands_for_itself};
use super::{from_macos, route_messages};
use crate::apple::{plist, system};
use crate::sensors::read;
use crate::sensors::{Sensed, SensorError};

const HARDWARE: &str = "Library/Preferences/SystemConfiguration/NetworkInterfaces.plist";
const LEASES: &str = "private/var/db/dhcpclient/leases";

// `route_messages.rs` reads bytes; libc knows where they lie.
const _: () = {
    assert!(size_of::<libc::rt_msghdr>() == route_messages::ROUTE);
    assert!(std::mem::offset_of!(libc::rt_msghdr, rtm_index) == 4);
    assert!(std::mem::offset_of!(libc::rt_msghdr, rtm_flags) == 8);
    assert!(std::mem::offset_of!(libc::rt_msghdr, rtm_addrs) == 12);
    assert!(size_of::<libc::if_msghdr>() == route_messages::INTERFACE);
    assert!(std::mem::offset_of!(libc::if_msghdr, ifm_addrs) == 4);
    assert!(std::mem::offset_of!(libc::if_msghdr, ifm_flags) == 8);
    assert!(std::mem::offset_of!(libc::if_msghdr, ifm_index) == 12);
    assert!(size_of::<libc::ifa_msghdr>() == route_messages::ADDRESS);
    assert!(std::mem::offset_of!(libc::ifa_msghdr, ifam_addrs) == 4);
    assert!(std::mem::offset_of!(libc::ifa_msghdr, ifam_index) == 12);
    assert!(std::mem::offset_of!(libc::sockaddr_dl, sdl_nlen) == 5);
    assert!(std::mem::offset_of!(libc::sockaddr_dl, sdl_alen) == 6);
    assert!(std::mem::offset_of!(libc::sockaddr_dl, sdl_data) == 8);
};

/// What the sensor remembers between looks.
#[derive(Debug, Default)]
pub struct Memory(segment::Memory);

/// States every interface that is up, and says whether a default route came or went.
pub fn sense(memory: &mut Memory, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    let list = read::bytes(&config.path(HARDWARE), read::SMALL).ok().and_then(|b| plist::parse(&b).ok());
    let hardware = list.as_ref().map(from_macos::hardware).unwrap_or_default();
    let interfaces = route_messages::interfaces(&system::routing_table(0, libc::NET_RT_IFLIST, 0)?);
    let links = from_macos::links(&interfaces, &hardware);
    let routes =
        route_messages::default_routes(&system::routing_table(0, libc::NET_RT_DUMP, 0)?, &interfaces);
    let neighbours = system::routing_table(libc::AF_INET, libc::NET_RT_FLAGS, libc::RTF_LLINFO)?;
    let arp = route_messages::neighbours(&neighbours, &interfaces);
    memory.0.tell_transition(!routes.is_empty(), now, out);
    memory.0.remember(&links, &arp);
    memory.0.tell_change(&links, &routes, now, out);
    memory.0.meet(&links, &routes, (&arp, None), config.level_2, now);
    let leases = config.path(LEASES);
    for link in links.iter().filter(|link| stands_for_itself(link, &routes)) {
        let asks = has_neighbours(link) && routes.iter().any(|route| route.interface == link.name);
        let dhcp = if asks { dhcp_server(&leases, &link.name) } else { None };
        out.fact(&link.name, &memory.0.network(link, &routes, dhcp, &config.hash_key));
    }
    if config.level_2 {
        out.note("neighbours are known from the ARP table only");
    }
    Ok(())
}

fn dhcp_server(leases: &Path, interface: &str) -> Option<Ipv4Addr> {
    let files = read::names(leases, read::MANY).ok()?;
    let file = files.iter().find(|file| from_macos::is_lease_of(file, interface))?;
    let lease = read::bytes(&leases.join(file), read::SMALL).ok()?;
    from_macos::dhcp_server(&plist::parse(&lease).ok()?)
}
