//! macOS: `ifconfig`, `netstat`, `arp`, `ipconfig`, and the system's list of network hardware.

use jiff::Timestamp;

use super::from_macos;
use super::segment::{self, has_neighbours, stands_for_itself};
use crate::apple::{plist, system};
use crate::sensors::read;
use crate::sensors::{Sensed, SensorError};

const HARDWARE: &str = "Library/Preferences/SystemConfiguration/NetworkInterfaces.plist";

/// What the sensor remembers between looks.
#[derive(Debug, Default)]
pub struct Memory(segment::Memory);

/// States every interface that is up, and says whether a default route came or went.
pub fn sense(memory: &mut Memory, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    let list = read::bytes(&config.path(HARDWARE), read::SMALL).ok().and_then(|b| plist::parse(&b).ok());
    let hardware = list.as_ref().map(from_macos::hardware).unwrap_or_default();
    let links = from_macos::links(&system::tool("/sbin/ifconfig", &[])?, &hardware);
    let routes = from_macos::default_routes(&system::tool("/usr/sbin/netstat", &["-rnl"])?);
    let arp = from_macos::arp(&system::tool("/usr/sbin/arp", &["-an"])?);
    memory.0.tell_transition(!routes.is_empty(), now, out);
    memory.0.remember(&links, &arp);
    memory.0.meet(&links, &routes, (&arp, None), config.level_2, now);
    for link in links.iter().filter(|link| stands_for_itself(link, &routes)) {
        let ask = has_neighbours(link) && routes.iter().any(|route| route.interface == link.name);
        let packet = if ask {
            system::tool_that_may_find_nothing("/usr/sbin/ipconfig", &["getpacket", &link.name]).ok()
        } else {
            None
        };
        let dhcp = packet.as_deref().and_then(from_macos::dhcp_server);
        out.fact(&link.name, &memory.0.network(link, &routes, dhcp, &config.hash_key));
    }
    if config.level_2 {
        out.note("neighbours are known from the ARP table only");
    }
    Ok(())
}
