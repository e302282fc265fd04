//! Adapters, routes and neighbours from IP Helper.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use windows_sys::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    ConvertInterfaceLuidToNameW, FreeMibTable, GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_DNS_SERVER,
    GAA_FLAG_SKIP_MULTICAST, GetAdaptersAddresses, GetIpForwardTable2, GetIpNetTable2,
    IP_ADAPTER_ADDRESSES_LH,
};
use windows_sys::Win32::NetworkManagement::Ndis::NET_LUID_LH;
use windows_sys::Win32::Networking::WinSock::{
    AF_INET, AF_INET6, AF_UNSPEC, SOCKADDR_IN, SOCKADDR_INET, SOCKET_ADDRESS,
};

use super::from_windows::{self, Adapter, NeighbourRow, RouteRow};
use super::segment::{self, stands_for_itself};
use crate::sensors::{Sensed, SensorError};
use crate::windows::text;

/// Most bytes of adapters, and most rows of a table, that are taken.
const MOST_BYTES: u32 = 4 << 20;
const MOST_ROWS: usize = 10_000;
/// Most adapters.
const MOST_ADAPTERS: usize = 256;

/// What the sensor remembers between looks.
#[derive(Debug, Default)]
pub struct Memory(segment::Memory);

/// States every interface that is up, and says whether a default route came or went.
pub fn sense(memory: &mut Memory, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    let adapters = adapters()?;
    let links = from_windows::links(&adapters);
    let routes = from_windows::default_routes(&routes(), &adapters);
    let arp = from_windows::neighbours(&neighbours(), &adapters);
    memory.0.tell_transition(!routes.is_empty(), now, out);
    memory.0.remember(&links, &arp);
    memory.0.tell_change(&links, &routes, now, out);
    memory.0.meet(&links, &routes, (&arp, None), config.level_2, now);
    for link in links.iter().filter(|link| stands_for_itself(link, &routes)) {
        let dhcp = adapters.iter().find(|adapter| adapter.name == link.name).and_then(|adapter| adapter.dhcp);
        out.fact(&link.name, &memory.0.network(link, &routes, dhcp, &config.hash_key));
    }
    if config.level_2 {
        out.note("neighbours are known from the ARP table only");
    }
    Ok(())
}

fn adapters() -> Result<Vec<Adapter>, SensorError> {
    let mut length = 32 << 10;
    for _ in 0..4 {
        let mut buffer = vec![0u64; length as usize / 8 + 1];
        let first = buffer.as_mut_ptr().cast::<IP_ADAPTER_ADDRESSES_LH>();
        let flags = GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_DNS_SERVER;
        // SAFETY: the buffer has the length that is told and is aligned for the structures in it.
        let result = unsafe {
            GetAdaptersAddresses(u32::from(AF_UNSPEC), flags, std::ptr::null(), first, &raw mut length)
        };
        match result {
            NO_ERROR => {
                // SAFETY: a chain of structures within the buffer, which lives on.
                return Ok(unsafe { chain(first) });
            }
            ERROR_BUFFER_OVERFLOW if length < MOST_BYTES => length += 4096,
            error => return Err(SensorError::Blind(format!("adapters cannot be listed: error {error}"))),
        }
    }
    Err(SensorError::Blind("adapters cannot be listed: there are ever more".into()))
}

/// # Safety
/// `first` is null or leads to a chain of adapters that lives.
unsafe fn chain(first: *const IP_ADAPTER_ADDRESSES_LH) -> Vec<Adapter> {
    let (mut adapters, mut next) = (Vec::new(), first);
    // SAFETY: the caller's promise; each link of the chain is null or the next.
    while let Some(adapter) = unsafe { next.as_ref() } {
        if adapters.len() == MOST_ADAPTERS {
            break;
        }
        next = adapter.Next;
        let length = usize::try_from(adapter.PhysicalAddressLength).unwrap_or(0);
        // SAFETY: the union's number is always set; texts and addresses lie in the chain's buffer.
        adapters.push(unsafe {
            Adapter {
                name: name(&adapter.Luid),
                index: adapter.Anonymous1.Anonymous.IfIndex,
                description: text::of_pointer(adapter.Description),
                if_type: adapter.IfType,
                status: adapter.OperStatus,
                physical: adapter.PhysicalAddress.get(..length).unwrap_or_default().to_vec(),
                metric: adapter.Ipv4Metric,
                dhcp: ipv4(&adapter.Dhcpv4Server),
            }
        });
    }
    adapters
}

fn name(luid: &NET_LUID_LH) -> String {
    let mut buffer = [0u16; 257];
    // SAFETY: the buffer has the length that is told.
    let result = unsafe { ConvertInterfaceLuidToNameW(luid, buffer.as_mut_ptr(), buffer.len()) };
    if result == NO_ERROR {
        return text::of_buffer(&buffer);
    }
    // SAFETY: the whole union is a number.
    format!("luid_{:x}", unsafe { luid.Value })
}

/// # Safety
/// The address is empty or leads to one that lives.
unsafe fn ipv4(address: &SOCKET_ADDRESS) -> Option<Ipv4Addr> {
    let fits =
        usize::try_from(address.iSockaddrLength).is_ok_and(|length| length >= size_of::<SOCKADDR_IN>());
    if !fits || address.lpSockaddr.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; the length says that it is large enough, and it need not be aligned.
    let socket = unsafe { std::ptr::read_unaligned(address.lpSockaddr.cast_const().cast::<SOCKADDR_IN>()) };
    // SAFETY: every view of the union is a number of four bytes.
    let number = unsafe { socket.sin_addr.S_un.S_addr };
    (socket.sin_family == AF_INET && number != 0 && number != u32::MAX)
        .then(|| Ipv4Addr::from(number.to_ne_bytes()))
}

fn routes() -> Vec<RouteRow> {
    let mut table = std::ptr::null_mut();
    // SAFETY: the table is allocated by the call and freed below.
    if unsafe { GetIpForwardTable2(AF_UNSPEC, &raw mut table) } != NO_ERROR || table.is_null() {
        return Vec::new();
    }
    // SAFETY: the table says how many rows follow its head.
    let rows = unsafe {
        let count = (*table).NumEntries as usize;
        std::slice::from_raw_parts((&raw const (*table).Table).cast(), count.min(MOST_ROWS))
    };
    let row = |row: &windows_sys::Win32::NetworkManagement::IpHelper::MIB_IPFORWARD_ROW2| {
        Some(RouteRow {
            index: row.InterfaceIndex,
            destination: address(&row.DestinationPrefix.Prefix)?,
            length: row.DestinationPrefix.PrefixLength,
            next_hop: address(&row.NextHop)?,
            metric: row.Metric,
        })
    };
    let routes = rows.iter().filter_map(row).collect();
    // SAFETY: allocated by the call above, freed once; the rows are not used any more.
    unsafe { FreeMibTable(table.cast()) };
    routes
}

fn neighbours() -> Vec<NeighbourRow> {
    let mut table = std::ptr::null_mut();
    // SAFETY: the table is allocated by the call and freed below.
    if unsafe { GetIpNetTable2(AF_INET, &raw mut table) } != NO_ERROR || table.is_null() {
        return Vec::new();
    }
    // SAFETY: the table says how many rows follow its head.
    let rows = unsafe {
        let count = (*table).NumEntries as usize;
        std::slice::from_raw_parts((&raw const (*table).Table).cast(), count.min(MOST_ROWS))
    };
    let row = |row: &windows_sys::Win32::NetworkManagement::IpHelper::MIB_IPNET_ROW2| {
        let IpAddr::V4(address) = address(&row.Address)? else { return None };
        let length = usize::try_from(row.PhysicalAddressLength).ok()?;
        let physical = row.PhysicalAddress.get(..length)?.to_vec();
        Some(NeighbourRow { index: row.InterfaceIndex, address, physical, state: row.State })
    };
    let found = rows.iter().filter_map(row).collect();
    // SAFETY: allocated by the call above, freed once; the rows are not used any more.
    unsafe { FreeMibTable(table.cast()) };
    found
}

fn address(socket: &SOCKADDR_INET) -> Option<IpAddr> {
    // SAFETY: the family says which view of the union was written.
    unsafe {
        match socket.si_family {
            AF_INET => Some(Ipv4Addr::from(socket.Ipv4.sin_addr.S_un.S_addr.to_ne_bytes()).into()),
            AF_INET6 => Some(Ipv6Addr::from(socket.Ipv6.sin6_addr.u.Byte).into()),
            _ => None,
        }
    }
}
