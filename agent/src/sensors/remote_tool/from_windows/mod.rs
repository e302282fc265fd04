//! What Windows says of processes and sockets, in the shape in which its calls return it.

pub(super) mod names;
pub(super) mod places;
pub(super) mod starts;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use farmwatch_shared::catalogue::{Catalogue, Match, Os, Proves};
use farmwatch_shared::program::Program;
use jiff::Timestamp;

use super::reach::{self, Connection, Listens};
use super::relays::{Relays, is_browser};
use super::tools::{Hit, Sockets};

/// Most processes that are taken from a list.
const MOST: usize = 1 << 16;
/// `MIB_TCP_STATE_LISTEN` and `MIB_TCP_STATE_ESTAB`.
const LISTENS: u32 = 2;
const CONNECTED: u32 = 5;

/// A process of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) pid: u32,
    /// Start, in 100 ns since 1601: tells a process from a later one of the same id.
    pub(super) started: i64,
    /// Its program's file name.
    pub(super) name: String,
}

/// Takes apart what `NtQuerySystemInformation(SystemProcessInformation)` wrote to `base`: entries chained by
/// offsets, whose names are pointers into the same buffer.
///
/// Offsets are those of a 64-bit `SYSTEM_PROCESS_INFORMATION`: next entry 0, start 0x20, name's length 0x38 and
/// pointer 0x40, process id 0x50.
pub(super) fn processes(buffer: &[u8], base: u64) -> Vec<Listed> {
    let mut found = Vec::new();
    let mut at = 0usize;
    while found.len() < MOST {
        let Some(entry) = buffer.get(at..) else { break };
        let (Some(next), Some(started), Some(length), Some(pointer), Some(pid)) = (
            number::<4>(entry, 0).map(u32::from_le_bytes),
            number::<8>(entry, 0x20).map(i64::from_le_bytes),
            number::<2>(entry, 0x38).map(u16::from_le_bytes),
            number::<8>(entry, 0x40).map(u64::from_le_bytes),
            number::<8>(entry, 0x50).map(u64::from_le_bytes),
        ) else {
            break;
        };
        let name = pointer.checked_sub(base).and_then(|from| usize::try_from(from).ok());
        let name = name.and_then(|from| buffer.get(from..from.checked_add(usize::from(length))?));
        // Process 0 is the idle loop and has no name.
        if let (Ok(pid @ 1..), Some(name)) = (u32::try_from(pid), name) {
            found.push(Listed { pid, started, name: utf16(name) });
        }
        match usize::try_from(next).ok().and_then(|next| at.checked_add(next)) {
            Some(further) if further > at => at = further,
            _ => break,
        }
    }
    found
}

/// 100 ns since 1601, to the minute.
pub(super) fn minute_of(filetime: i64) -> Option<Timestamp> {
    const BETWEEN_1601_AND_1970: i64 = 11_644_473_600;
    let seconds = filetime / 10_000_000 - BETWEEN_1601_AND_1970;
    Timestamp::from_second(seconds.div_euclid(60) * 60).ok().filter(|_| filetime > 0)
}

/// Whose a program is by what its own bytes say: the name that its maker gave it, which a renamed copy keeps and
/// which may be asked for with arguments; else its product, its maker, who signed it.
pub(super) fn by_bytes(catalogue: &Catalogue, program: &Program, command_line: Option<&str>) -> Option<Hit> {
    let proves_use = |hit: &Match<'_>| hit.proves == Proves::Use;
    let by_name = |name: &String| catalogue.by_process(Os::Windows, name, command_line).filter(proves_use);
    let named = program.names.iter().find_map(by_name);
    named.or_else(|| catalogue.by_program(Os::Windows, program).filter(proves_use)).map(Hit::from)
}

/// A TCP socket and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) pid: u32,
    /// Its own address and port.
    pub(super) own: (IpAddr, u16),
    /// The other end's; none where it waits for one.
    pub(super) peer: Option<(IpAddr, u16)>,
}

impl Socket {
    pub(super) fn listens_on(&self, port: u16) -> bool {
        self.peer.is_none() && self.own.1 == port
    }

    pub(super) fn is_connected_to(&self, port: u16) -> bool {
        self.peer.is_some() && self.own.1 == port
    }

    /// Somebody at a public address is connected to this port.
    pub(super) fn is_publicly_connected_to(&self, port: u16) -> bool {
        self.is_connected_to(port) && self.peer.is_some_and(|(peer, _)| reach::is_public(peer))
    }
}

/// Rows of `GetExtendedTcpTable(TCP_TABLE_OWNER_PID_ALL)` for IPv4: a count, then state, local address, local
/// port, remote address, remote port, process, four bytes each; ports in the network's order.
pub(super) fn tcp4(table: &[u8]) -> Vec<Socket> {
    let address = |row: &[u8], at| Some(Ipv4Addr::from(number::<4>(row, at)?).into());
    rows(table, 24, [0, 20], [(4, 8), (12, 16)], address)
}

/// The same for IPv6: local address (16), scope, local port, remote address (16), scope, remote port, state,
/// process.
pub(super) fn tcp6(table: &[u8]) -> Vec<Socket> {
    let address = |row: &[u8], at| Some(Ipv6Addr::from(number::<16>(row, at)?).to_canonical());
    rows(table, 56, [48, 52], [(0, 20), (24, 44)], address)
}

/// Where in a row its state and process stand, and address and port of its own end and of the other.
fn rows(
    table: &[u8],
    size: usize,
    [state, pid]: [usize; 2],
    [own, peer]: [(usize, usize); 2],
    address: impl Fn(&[u8], usize) -> Option<IpAddr>,
) -> Vec<Socket> {
    let end = |row: &[u8], (at, port)| Some((address(row, at)?, u16::from_be_bytes(number(row, port)?)));
    let socket = |row: &[u8]| {
        let peer = match u32::from_le_bytes(number(row, state)?) {
            LISTENS => None,
            CONNECTED => Some(end(row, peer)?),
            _ => return None,
        };
        Some(Socket { pid: u32::from_le_bytes(number(row, pid)?), own: end(row, own)?, peer })
    };
    counted(table, size).filter_map(socket).collect()
}

/// Rows of a table that begins with their number.
fn counted(table: &[u8], size: usize) -> impl Iterator<Item = &[u8]> {
    let count = number::<4>(table, 0).map(u32::from_le_bytes).unwrap_or_default();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    table.get(4..).unwrap_or_default().chunks_exact(size).take(count)
}

/// A UDP socket and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) pid: u32,
    pub(super) port: u16,
}

/// Rows of `GetExtendedUdpTable(UDP_TABLE_OWNER_PID)` for IPv4: a count, then local address, local port, process, four
/// bytes each; ports in the network's order.
pub(super) fn udp4(table: &[u8]) -> Vec<Waiting> {
    let row = |row: &[u8]| waiting(row, 4, 8);
    counted(table, 12).filter_map(row).collect()
}

/// The same for IPv6: local address (16), scope, local port, process.
pub(super) fn udp6(table: &[u8]) -> Vec<Waiting> {
    let row = |row: &[u8]| waiting(row, 20, 24);
    counted(table, 28).filter_map(row).collect()
}

fn waiting(row: &[u8], port: usize, pid: usize) -> Option<Waiting> {
    let port = u16::from_be_bytes(number(row, port)?);
    Some(Waiting { pid: u32::from_le_bytes(number(row, pid)?), port })
}

/// What a process's sockets say. `same`: whether a process is of the same tool.
pub(super) fn serves(
    sockets: &[Socket],
    waiting: &[Waiting],
    pid: u32,
    same: impl Fn(u32) -> bool,
) -> Sockets {
    let own = sockets.iter().filter(|socket| socket.peer.is_none() && socket.pid == pid);
    let listening: Vec<Listens> =
        own.map(|one| Listens { port: one.own.1, inside: one.own.0.is_loopback() }).collect();
    let connections =
        sockets.iter().filter_map(|one| Some(Connection { pid: one.pid, own: one.own, peer: one.peer? }));
    let udp = waiting.iter().filter(|socket| socket.pid == pid).map(|socket| socket.port).collect();
    reach::sockets(&listening, udp, connections, same)
}

/// Tools whose relays are at the far end of a program's connection. `program` tells a process's path.
///
/// What only an administrator puts there (Windows itself, `Program Files`) is connected to whomever somebody wants to
/// see, as a browser is: filters of the web's traffic are among it.
pub(super) fn connected_to(
    relays: &Relays,
    sockets: &[Socket],
    program: impl Fn(u32) -> Option<String>,
) -> Vec<Hit> {
    let mut hits = Vec::new();
    if relays.is_empty() {
        return hits;
    }
    for socket in sockets {
        let Some(hit) = socket.peer.and_then(|(peer, _)| relays.at(&peer)).filter(|hit| !hits.contains(*hit))
        else {
            continue;
        };
        let own = program(socket.pid).is_some_and(|path| !is_stock(&path) && !is_browser(&path));
        if own {
            hits.push(hit.clone());
        }
    }
    hits
}

/// `C:\\Windows\\…`, `D:\\Program Files (x86)\\…`.
fn is_stock(path: &str) -> bool {
    let below = path.get(2..).unwrap_or_default().to_ascii_lowercase();
    [r"\windows\", r"\program files\", r"\program files (x86)\"]
        .iter()
        .any(|folder| below.starts_with(folder))
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: u64 = 0x7fff_0000;

    /// Two processes as a 64-bit Windows lists them: the idle loop, and one with a name.
    fn list(name: &str) -> Vec<u8> {
        let mut buffer = vec![0u8; 0x100];
        buffer[0..4].copy_from_slice(&0x100u32.to_le_bytes());
        let mut entry = vec![0u8; 0x100];
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        entry[0x20..0x28].copy_from_slice(&134_088_768_305_000_000i64.to_le_bytes());
        entry[0x38..0x3a].copy_from_slice(&u16::try_from(units.len()).unwrap().to_le_bytes());
        entry[0x40..0x48].copy_from_slice(&(BASE + 0x200).to_le_bytes());
        entry[0x50..0x58].copy_from_slice(&4711u64.to_le_bytes());
        buffer.extend(entry);
        buffer.extend(units);
        buffer
    }

    #[test]
    fn a_process_is_listed_with_its_name_and_start() {
        let found = processes(&list("AnyDesk.exe"), BASE);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].pid, found[0].name.as_str()), (4711, "AnyDesk.exe"));
        assert_eq!(minute_of(found[0].started).unwrap().to_string(), "2025-11-29T08:00:00Z");
        assert_eq!(minute_of(0), None, "the kernel's own have no start");
    }

    #[test]
    fn a_renamed_copy_is_known_by_its_makers_name_product_or_signature() {
        let catalogue = Catalogue::shipped();
        let whose = |field: &str, value: &str, command_line: Option<&str>| {
            let mut program = Program::default();
            program.set(field, value);
            by_bytes(&catalogue, &program, command_line).map(|hit| hit.tool.to_string())
        };
        for (field, value, tool) in [
            ("original", "AnyDesk.exe", Some("anydesk")),
            ("product", "AnyDesk", Some("anydesk")),
            ("signer", "AnyDesk Software GmbH", Some("anydesk")),
            ("original", "NOTEPAD.EXE.MUI", None),
            ("signer", "Microsoft Windows", None),
            ("signer", "OpenJS Foundation", None),
        ] {
            assert_eq!(whose(field, value, None).as_deref(), tool, "{field}={value}");
        }
        assert_eq!(by_bytes(&catalogue, &Program::default(), None), None);
    }

    #[test]
    fn a_server_with_somebody_connected() {
        let far = ([203, 0, 113, 9], 50_001);
        let any = ([0, 0, 0, 0], 7070);
        let sockets = tcp4(&table(&[
            (2, any, ([0; 4], 0), 9),
            (5, ([10, 0, 0, 10], 7070), far, 9),
            (11, ([10, 0, 0, 10], 80), far, 9),
        ]));
        assert_eq!(sockets.len(), 2);
        let expected =
            Sockets { ports: [7070].into(), connected: true, from_internet: true, ..Sockets::default() };
        assert_eq!(serves(&sockets, &[], 9, |_| true), expected);
        assert_eq!(serves(&sockets, &[], 8, |_| true), Sockets::default());
        assert!(sockets[0].listens_on(7070) && !sockets[0].is_connected_to(7070));
        assert!(sockets[1].is_connected_to(7070) && !sockets[1].is_connected_to(80));
        assert!(sockets[1].is_publicly_connected_to(7070) && !sockets[0].is_publicly_connected_to(7070));
        let mut six = vec![0u8; 60];
        six[0] = 1;
        six[24..26].copy_from_slice(&5900u16.to_be_bytes());
        six[52] = 2;
        six[56] = 9;
        let any = (Ipv6Addr::UNSPECIFIED.into(), 5900);
        assert_eq!(tcp6(&six), [Socket { pid: 9, own: any, peer: None }]);
        six[52] = 5;
        six[38..44].copy_from_slice(&[0xff, 0xff, 203, 0, 113, 9]);
        six[48..50].copy_from_slice(&50_001u16.to_be_bytes());
        assert_eq!(tcp6(&six)[0].peer, Some(([203, 0, 113, 9].into(), 50_001)));
    }

    /// AnyDesk's service (9) and its window (10), VNC (11) behind ssh (12), as one laptop's table.
    #[test]
    fn a_tools_own_window_is_no_session_and_the_end_of_a_tunnel_is() {
        let (here, none) = ([127, 0, 0, 1], ([0; 4], 0));
        let sockets = tcp4(&table(&[
            (2, (here, 7070), none, 9),
            (5, (here, 7070), (here, 50_001), 9),
            (5, (here, 50_001), (here, 7070), 10),
            (2, (here, 5900), none, 11),
            (5, (here, 5900), (here, 50_002), 11),
            (5, (here, 50_002), (here, 5900), 12),
        ]));
        let anydesk = serves(&sockets, &[], 9, |pid| [9, 10].contains(&pid));
        assert_eq!((anydesk.ports.len(), anydesk.connected), (1, false));
        assert!(serves(&sockets, &[], 11, |pid| pid == 11).connected);
    }

    type End = ([u8; 4], u16);

    /// A table as `GetExtendedTcpTable` writes it: state, own end, the other, process.
    fn table(rows: &[(u32, End, End, u32)]) -> Vec<u8> {
        let mut bytes = u32::try_from(rows.len()).unwrap().to_le_bytes().to_vec();
        for (state, own, peer, pid) in rows {
            bytes.extend(state.to_le_bytes());
            for (address, port) in [own, peer] {
                bytes.extend(address);
                bytes.extend(port.to_be_bytes());
                bytes.extend([0; 2]);
            }
            bytes.extend(pid.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn udp_ports_are_those_of_the_process_in_either_family() {
        // 0.0.0.0:9993 and 127.0.0.1:53 of two processes; [::]:41641 of the first.
        let mut four = 2u32.to_le_bytes().to_vec();
        four.extend([0, 0, 0, 0, 0x27, 0x09, 0, 0, 9, 0, 0, 0]);
        four.extend([127, 0, 0, 1, 0, 53, 0, 0, 8, 0, 0, 0]);
        let mut six = 1u32.to_le_bytes().to_vec();
        six.extend([0; 20]);
        six.extend([0xa2, 0xa9, 0, 0, 9, 0, 0, 0]);
        let waiting: Vec<Waiting> = udp4(&four).into_iter().chain(udp6(&six)).collect();
        assert_eq!(waiting.len(), 3);
        assert_eq!(serves(&[], &waiting, 9, |_| false).udp, [9993, 41_641].into());
        assert_eq!(serves(&[], &waiting, 8, |_| false).udp, [53].into());
        assert_eq!(udp4(&four[..20]).len(), 1, "cut");
    }

    #[test]
    fn a_million_sockets_are_looked_through_in_a_moment() {
        let mut table = u32::MAX.to_le_bytes().to_vec();
        table.extend([0, 0, 0, 0, 0x27, 0x09, 0, 0, 9, 0, 0, 0].repeat(1_000_000));
        let start = std::time::Instant::now();
        let waiting = udp4(&table);
        let udp = serves(&[], &waiting, 9, |_| false).udp;
        assert_eq!((waiting.len(), udp), (1_000_000, [9993].into()));
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }

    #[test]
    fn an_unknown_program_that_is_connected_to_a_relay_is_its_tool_and_others_are_not() {
        let (mut relays, relay) = (Relays::default(), IpAddr::from([203, 0, 113, 9]));
        let answer = super::super::relays::Answer {
            names: vec!["relay-1.net.anydesk.com".into()],
            addresses: vec![relay],
        };
        assert!(relays.add(&Catalogue::shipped(), &answer, std::time::Instant::now()));
        let to = |peer, program: Option<&str>| {
            let own = (IpAddr::from([10, 0, 0, 10]), 50_000);
            let sockets = [Socket { pid: 9, own, peer: Some((peer, 443)) }];
            let hits = connected_to(&relays, &sockets, |_| program.map(str::to_owned));
            hits.into_iter().map(|hit| hit.tool.to_string()).collect::<Vec<_>>()
        };
        let portable = Some(r"C:\Users\anna\Downloads\helper.exe");
        assert_eq!(to(relay, portable), ["anydesk"]);
        assert_eq!(to(IpAddr::from([203, 0, 113, 10]), portable), [""; 0]);
        for program in [
            None,
            Some(r"C:\Windows\System32\curl.exe"),
            Some(r"C:\Program Files\Filter\webshield.exe"),
            Some(r"C:\Users\anna\AppData\Local\Google\Chrome\Application\chrome.exe"),
        ] {
            assert_eq!(to(relay, program), [""; 0], "{program:?}");
        }
    }

    proptest! {
        #[test]
        fn junk_lists_end(bytes in prop::collection::vec(any::<u8>(), 0..2000), base in any::<u64>()) {
            let _ = processes(&bytes, base);
            prop_assert!(tcp4(&bytes).len() + tcp6(&bytes).len() <= bytes.len() / 12);
            prop_assert!(udp4(&bytes).len() <= bytes.len() / 12 && udp6(&bytes).len() <= bytes.len() / 28);
        }

        #[test]
        fn a_list_that_is_cut_or_loops_ends(at in 0usize..0x200, next in any::<u32>()) {
            let mut buffer = list("x.exe");
            buffer[0..4].copy_from_slice(&next.to_le_bytes());
            buffer.truncate(at);
            prop_assert!(processes(&buffer, BASE).len() <= 2);
        }
    }
}
