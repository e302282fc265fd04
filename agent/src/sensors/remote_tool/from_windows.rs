//! What Windows says of processes and sockets, in the shape in which its calls return it.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::catalogue::{Catalogue, Match, Os, Proves};
use farmwatch_shared::program::Program;
use jiff::Timestamp;

use super::tools::Hit;

/// Most processes that are taken from a list.
const MOST: usize = 1 << 16;
/// Most ports that are told of one process.
const MOST_PORTS: usize = 16;
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

/// Whose program this is: by path and arguments, else by the name that its maker gave it (its version's
/// `OriginalFilename`, `ProductName`), which a renamed copy keeps.
pub(super) fn whose(
    catalogue: &Catalogue,
    path: &str,
    command_line: Option<&str>,
    version: impl FnOnce() -> Version,
) -> Option<Hit> {
    if let Some(hit) = catalogue.by_process(Os::Windows, path, command_line) {
        return Some(hit.into());
    }
    let version = version();
    let proves_use = |hit: &Match<'_>| hit.proves == Proves::Use;
    let by_name = |name: &String| catalogue.by_process(Os::Windows, name, command_line).filter(proves_use);
    let mut program = Program::default();
    version.original_name.iter().for_each(|name| program.set("original", name));
    version.product.iter().for_each(|product| program.set("product", product));
    let named = version.original_name.as_ref().and_then(by_name);
    named.or_else(|| catalogue.by_program(Os::Windows, &program).filter(proves_use)).map(Hit::from)
}

/// What a program's version says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// `OriginalFilename`: the name before anybody renamed it.
    pub(super) original_name: Option<String>,
    /// `ProductName`.
    pub(super) product: Option<String>,
}

/// A TCP socket and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) pid: u32,
    pub(super) port: u16,
    pub(super) listens: bool,
}

/// Rows of `GetExtendedTcpTable(TCP_TABLE_OWNER_PID_ALL)` for IPv4: a count, then state, local address, local
/// port, remote address, remote port, process, four bytes each; ports in the network's order.
pub(super) fn tcp4(table: &[u8]) -> Vec<Socket> {
    rows(table, 24, 0, 8, 20)
}

/// The same for IPv6: local address (16), scope, local port, remote address (16), scope, remote port, state,
/// process.
pub(super) fn tcp6(table: &[u8]) -> Vec<Socket> {
    rows(table, 56, 48, 20, 52)
}

fn rows(table: &[u8], size: usize, state: usize, port: usize, pid: usize) -> Vec<Socket> {
    let count = number::<4>(table, 0).map(u32::from_le_bytes).unwrap_or_default();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let rows = table.get(4..).unwrap_or_default().chunks_exact(size).take(count);
    let socket = |row: &[u8]| {
        let listens = match u32::from_le_bytes(number(row, state)?) {
            LISTENS => true,
            CONNECTED => false,
            _ => return None,
        };
        let port = u16::from_be_bytes(number(row, port)?);
        Some(Socket { pid: u32::from_le_bytes(number(row, pid)?), port, listens })
    };
    rows.filter_map(socket).collect()
}

/// What a process's sockets say: the ports it listens on, and whether somebody is connected to one of them.
pub(super) fn serves(sockets: &[Socket], pid: u32) -> (BTreeSet<u16>, bool) {
    let listening = sockets.iter().filter(|socket| socket.listens && socket.pid == pid);
    let ports: BTreeSet<u16> = listening.map(|socket| socket.port).take(MOST_PORTS).collect();
    let connected = sockets.iter().any(|socket| !socket.listens && ports.contains(&socket.port));
    (ports, connected)
}

/// The paths that a pattern of the catalogue stands for, by the values of Windows' variables; each variable may
/// have several (`%appdata%` has one for each person). Patterns with stars stand for the folder before them.
pub(super) fn paths(pattern: &str, variables: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    let parts: Vec<&str> = pattern.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    let Some((first, rest)) = parts.split_first() else { return Vec::new() };
    let starts = match first.to_ascii_lowercase().as_str() {
        "~" => variables.get("%userprofile%").cloned().unwrap_or_default(),
        variable if variable.starts_with('%') => variables.get(variable).cloned().unwrap_or_default(),
        drive if drive.ends_with(':') => vec![(*first).to_owned()],
        _ => return Vec::new(),
    };
    let plain = |part: &&&str| !part.contains(['*', '?']) && **part != "..";
    let kept: Vec<&str> = rest.iter().take_while(plain).copied().collect();
    // A star within a path, not at its end, says more than the folder before it does.
    if kept.is_empty() || rest.len() > kept.len() + 1 {
        return Vec::new();
    }
    starts.iter().map(|start| format!("{}\\{}", start.trim_end_matches('\\'), kept.join("\\"))).collect()
}

/// The program of a command: quoted, or up to `.exe`.
pub(super) fn program_of(command: &str) -> &str {
    let command = command.trim();
    if let Some(quoted) = command.strip_prefix('"') {
        return quoted.split('"').next().unwrap_or_default();
    }
    let end = command.to_ascii_lowercase().find(".exe").map(|at| at + 4);
    end.map_or(command, |end| &command[..end])
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
    fn a_renamed_copy_is_known_by_what_its_maker_called_it() {
        let catalogue = Catalogue::shipped();
        let named = || Version { original_name: Some("AnyDesk.exe".into()), product: None };
        let path = r"C:\Users\x\Downloads\invoice.exe";
        assert_eq!(&*whose(&catalogue, path, None, named).unwrap().tool, "anydesk");
        assert_eq!(whose(&catalogue, path, None, Version::default), None);
        let notepad = || Version { original_name: Some("NOTEPAD.EXE.MUI".into()), product: None };
        assert_eq!(whose(&catalogue, r"C:\Windows\notepad.exe", None, notepad), None);
    }

    #[test]
    fn a_server_with_somebody_connected() {
        let mut table = 3u32.to_le_bytes().to_vec();
        for (state, port, pid) in [(2u32, 7070u16, 9u32), (5, 7070, 9), (11, 80, 9)] {
            table.extend(state.to_le_bytes());
            table.extend([0; 4]);
            table.extend([port.to_be_bytes()[0], port.to_be_bytes()[1], 0, 0]);
            table.extend([0; 8]);
            table.extend(pid.to_le_bytes());
        }
        let sockets = tcp4(&table);
        assert_eq!(sockets.len(), 2);
        assert_eq!(serves(&sockets, 9), ([7070].into(), true));
        assert_eq!(serves(&sockets, 8), (BTreeSet::new(), false));
        let mut six = vec![0u8; 60];
        six[0] = 1;
        six[24..26].copy_from_slice(&5900u16.to_be_bytes());
        six[52] = 2;
        six[56] = 9;
        assert_eq!(tcp6(&six), [Socket { pid: 9, port: 5900, listens: true }]);
    }

    #[test]
    fn the_program_of_a_services_command_is_found() {
        assert_eq!(
            program_of(r#""C:\Program Files\AnyDesk\AnyDesk.exe" --service"#),
            r"C:\Program Files\AnyDesk\AnyDesk.exe"
        );
        assert_eq!(program_of(r"C:\Program Files\x y\srv.EXE -k"), r"C:\Program Files\x y\srv.EXE");
        assert_eq!(program_of(r"\SystemRoot\system32\drivers\x.sys"), r"\SystemRoot\system32\drivers\x.sys");
    }

    #[test]
    fn patterns_lead_to_every_place_that_a_variable_stands_for() {
        let folders = vec![r"C:\Program Files".to_owned(), r"C:\Program Files (x86)".to_owned()];
        let variables = BTreeMap::from([("%programfiles%", folders)]);
        assert_eq!(
            paths(r"%ProgramFiles%\AnyDesk\", &variables),
            [r"C:\Program Files\AnyDesk", r"C:\Program Files (x86)\AnyDesk"]
        );
        assert_eq!(paths(r"%programfiles%\ATERA Networks\*", &variables).len(), 2);
        assert!(paths(r"%programfiles%\*", &variables).is_empty());
        assert!(paths(r"%programfiles%\*\x.exe", &variables).is_empty());
        assert!(paths(r"%appdata%\x\", &variables).is_empty());
        assert_eq!(paths(r"C:\kworking\x.exe", &variables), [r"C:\kworking\x.exe"]);
    }

    proptest! {
        #[test]
        fn junk_lists_end(bytes in prop::collection::vec(any::<u8>(), 0..2000), base in any::<u64>()) {
            let _ = processes(&bytes, base);
            prop_assert!(tcp4(&bytes).len() + tcp6(&bytes).len() <= bytes.len() / 12);
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
