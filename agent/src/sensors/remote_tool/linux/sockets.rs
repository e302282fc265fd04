//! Ports that a process listens on, and whether somebody is connected to them: sockets among its files,
//! compared with its network namespace's tables.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::sensors::read;

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
    tables: BTreeMap<PathBuf, Vec<Socket>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    port: u16,
    inode: u64,
    listens: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root, tables: BTreeMap::new() }
    }

    /// Sockets of a process; none if it may not be looked at.
    pub(super) fn of(&mut self, pid: u32) -> Sockets {
        let folder = self.root.join("proc").join(pid.to_string());
        let inodes = inodes(&folder.join("fd"));
        if inodes.is_empty() {
            return Sockets::default();
        }
        let namespace = read::link(&folder.join("ns/net")).unwrap_or_default();
        let table = self.tables.entry(namespace).or_insert_with(|| tables(&folder.join("net")));
        let listening = table.iter().filter(|socket| socket.listens && inodes.contains(&socket.inode));
        let ports: BTreeSet<u16> = listening.map(|socket| socket.port).take(MOST_PORTS).collect();
        let connected = table.iter().any(|socket| !socket.listens && ports.contains(&socket.port));
        Sockets { ports, connected }
    }
}

fn inodes(files: &Path) -> HashSet<u64> {
    let names = read::names(files, MOST_FILES).unwrap_or_default();
    let inode = |name: &String| {
        let target = read::link(&files.join(name)).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    names.iter().filter_map(inode).collect()
}

fn tables(net: &Path) -> Vec<Socket> {
    let text = |name| read::start(&net.join(name), MOST_TABLE).unwrap_or_default();
    ["tcp", "tcp6"].into_iter().flat_map(|name| parse(&text(name))).collect()
}

/// `/proc/net/tcp`: sockets that listen (`0A`) or are connected (`01`).
fn parse(text: &str) -> Vec<Socket> {
    let socket = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (_, port) = words.nth(1)?.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let listens = match words.nth(1)? {
            "0A" => true,
            "01" => false,
            _ => return None,
        };
        Some(Socket { port, listens, inode: words.nth(5)?.parse().ok()? })
    };
    text.lines().skip(1).filter_map(socket).collect()
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
        let mut reader = Reader::new(root.path());
        assert_eq!(reader.of(9), Sockets { ports: [5900].into(), connected: true });
        assert_eq!(reader.of(8), Sockets::default(), "listening, but not this process");
    }
}
