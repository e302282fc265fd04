//! Ports that a process listens on, and whether somebody is connected to them: sockets among its files,
//! compared with its network namespace's tables.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::sensors::{read, tcp_sockets};

/// Most files of one process that are looked at.
const MOST_FILES: usize = 4096;
/// As much of a table as is read: some 30,000 sockets, listening ones first.
const MOST_TABLE: usize = 4 << 20;
/// Most ports that are told of one process.
const MOST_PORTS: usize = 16;

/// What a process's sockets say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sockets {
    /// TCP ports it listens on.
    pub(super) ports: BTreeSet<u16>,
    /// Somebody is connected to one of them.
    pub(super) connected: bool,
}

/// Reads sockets; each namespace's tables once.
pub(super) struct Reader<'a> {
    root: &'a Path,
    /// The agent's own namespace, of which the kernel tells at less cost; `None` below a test's folder.
    own: Option<PathBuf>,
    tables: BTreeMap<PathBuf, Table>,
}

/// The TCP sockets of one namespace.
#[derive(Default)]
struct Table {
    /// Sockets that listen, by inode.
    listening: Vec<(u64, u16)>,
    /// Ports with somebody at the other end; `None` until somebody asks.
    connected: Option<HashSet<u16>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Path, live: bool) -> Self {
        let own = live.then(|| read::link(&root.join("proc/self/ns/net")).ok()).flatten();
        Self { root, own, tables: BTreeMap::new() }
    }

    /// Sockets of a process; none if it may not be looked at.
    pub(super) fn of(&mut self, pid: u32) -> Sockets {
        let folder = self.root.join("proc").join(pid.to_string());
        let inodes = inodes(&folder.join("fd"));
        if inodes.is_empty() {
            return Sockets::default();
        }
        let namespace = read::link(&folder.join("ns/net")).unwrap_or_default();
        let own = self.own.as_ref() == Some(&namespace);
        let table = self.tables.entry(namespace).or_insert_with(|| {
            let told = own.then(|| told_by_the_kernel().ok()).flatten();
            told.unwrap_or_else(|| read_table(&folder.join("net")))
        });
        let listening = table.listening.iter().filter(|(inode, _)| inodes.contains(inode));
        let ports: BTreeSet<u16> = listening.map(|(_, port)| *port).take(MOST_PORTS).collect();
        let connected = !ports.is_empty() && {
            let connected = table.connected.get_or_insert_with(connected_ports);
            ports.iter().any(|port| connected.contains(port))
        };
        Sockets { ports, connected }
    }
}

fn told_by_the_kernel() -> std::io::Result<Table> {
    let listening = tcp_sockets::listening()?;
    let listening = listening.iter().map(|socket| (socket.inode, socket.port)).collect();
    Ok(Table { listening, connected: None })
}

fn connected_ports() -> HashSet<u16> {
    tcp_sockets::connected().unwrap_or_default().iter().map(|socket| socket.port).collect()
}

fn inodes(files: &Path) -> HashSet<u64> {
    let names = read::names(files, MOST_FILES).unwrap_or_default();
    let inode = |name: &String| {
        let target = read::link(&files.join(name)).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    names.iter().filter_map(inode).collect()
}

fn read_table(net: &Path) -> Table {
    let mut table = Table::default();
    let mut connected = HashSet::new();
    for name in ["tcp", "tcp6"] {
        let text = read::start(&net.join(name), MOST_TABLE).unwrap_or_default();
        parse(&text, &mut table.listening, &mut connected);
    }
    table.connected = Some(connected);
    table
}

/// `/proc/net/tcp`: sockets that listen (`0A`) or are connected (`01`).
fn parse(text: &str, listening: &mut Vec<(u64, u16)>, connected: &mut HashSet<u16>) {
    for line in text.lines().skip(1) {
        let mut words = line.split_ascii_whitespace();
        let port = words.nth(1).and_then(|address| address.split_once(':'));
        let Some(port) = port.and_then(|(_, port)| u16::from_str_radix(port, 16).ok()) else { continue };
        match words.nth(1) {
            Some("0A") => {
                let inode = words.nth(5).and_then(|inode| inode.parse().ok());
                listening.extend(inode.map(|inode| (inode, port)));
            }
            Some("01") => {
                connected.insert(port);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::super::super::test::write;
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:170C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 5001 1 0 100 0 0 10 0
   1: 0100007F:0277 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5002 1 0 100 0 0 10 0
   2: 0A00000A:170C 090071CB:D431 01 00000000:00000000 00:00000000 00000000  1000        0 5003 1 0 20 4 30 10 -1
";

    #[test]
    fn a_server_with_somebody_connected() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("proc/9/net/tcp", TABLE), ("proc/9/fd/0", ""), ("proc/8/net/tcp", TABLE)]);
        symlink("socket:[5001]", root.path().join("proc/9/fd/7")).unwrap();
        let mut reader = Reader::new(root.path(), false);
        assert_eq!(reader.of(9), Sockets { ports: [5900].into(), connected: true });
        assert_eq!(reader.of(8), Sockets::default(), "listening, but not this process");
    }
}
