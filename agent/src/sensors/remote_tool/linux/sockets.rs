//! Ports that a process listens on, and whether somebody is connected to them from outside: sockets among its files,
//! compared with its network namespace's tables.
//!
//! Parts of a tool talk to each other through the laptop's own addresses all day (NoMachine's, xrdp's): that is no
//! session. A server that listens on no other address waits for the end of a tunnel, so there it is one.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
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
    /// Somebody is connected to one of them from outside, or through a tunnel.
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
    /// Sockets that listen.
    listening: Vec<Listening>,
    /// Ports with somebody at the other end; `None` until somebody asks.
    connected: Option<Connected>,
}

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listening {
    inode: u64,
    port: u16,
    /// Only for this machine itself.
    inside: bool,
}

/// Own ports of connections.
#[derive(Debug, Default, PartialEq, Eq)]
struct Connected {
    from_outside: HashSet<u16>,
    from_inside: HashSet<u16>,
}

impl Connected {
    fn add(&mut self, port: u16, own: IpAddr, peer: IpAddr) {
        let inside = peer.is_loopback() || peer == own;
        let ports = if inside { &mut self.from_inside } else { &mut self.from_outside };
        ports.insert(port);
    }

    /// Whether somebody is at the other end of one of these.
    fn to(&self, listening: &[Listening]) -> bool {
        let outside = |port: u16| listening.iter().any(|socket| socket.port == port && !socket.inside);
        let to = |socket: &Listening| {
            self.from_outside.contains(&socket.port)
                || (self.from_inside.contains(&socket.port) && !outside(socket.port))
        };
        listening.iter().any(to)
    }
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
        let own: Vec<Listening> =
            table.listening.iter().filter(|socket| inodes.contains(&socket.inode)).copied().collect();
        let ports: BTreeSet<u16> = own.iter().map(|socket| socket.port).take(MOST_PORTS).collect();
        let connected = !ports.is_empty() && table.connected.get_or_insert_with(connected).to(&own);
        Sockets { ports, connected }
    }
}

fn told_by_the_kernel() -> std::io::Result<Table> {
    let listening = tcp_sockets::listening()?;
    let listening = listening.iter().map(|socket| Listening {
        inode: socket.inode,
        port: socket.port,
        inside: socket.address.is_loopback(),
    });
    Ok(Table { listening: listening.collect(), connected: None })
}

fn connected() -> Connected {
    let mut connected = Connected::default();
    for socket in tcp_sockets::connected().unwrap_or_default() {
        if let Some(peer) = socket.peer {
            connected.add(socket.port, socket.address, peer);
        }
    }
    connected
}

/// Inodes of the sockets among a process's files.
pub(super) fn inodes(files: &Path) -> HashSet<u64> {
    let names = read::names(files, MOST_FILES).unwrap_or_default();
    let inode = |name: &String| {
        let target = read::link(&files.join(name)).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    names.iter().filter_map(inode).collect()
}

fn read_table(net: &Path) -> Table {
    let (mut listening, mut connected) = (Vec::new(), Connected::default());
    for name in ["tcp", "tcp6"] {
        let text = read::start(&net.join(name), MOST_TABLE).unwrap_or_default();
        parse(&text, &mut listening, &mut connected);
    }
    Table { listening, connected: Some(connected) }
}

/// `/proc/net/tcp`: sockets that listen (`0A`) or are connected (`01`).
fn parse(text: &str, listening: &mut Vec<Listening>, connected: &mut Connected) {
    for line in text.lines().skip(1) {
        let mut words = line.split_ascii_whitespace();
        let (Some((own, port)), Some((peer, _))) = (words.nth(1).and_then(end), words.next().and_then(end))
        else {
            continue;
        };
        match words.next() {
            Some("0A") => {
                let inode = words.nth(5).and_then(|inode| inode.parse().ok());
                listening.extend(inode.map(|inode| Listening { inode, port, inside: own.is_loopback() }));
            }
            Some("01") => connected.add(port, own, peer),
            _ => {}
        }
    }
}

/// `0100007F:170C`: an address in words of the machine's own order, and a port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let mut bytes = [0; 16];
            bytes
                .chunks_exact_mut(4)
                .zip(words)
                .for_each(|(to, word)| to.copy_from_slice(&word.to_ne_bytes()));
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

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

    /// Own port, whether it listens for outside, own end and peer of a connection.
    fn connected(address: &str, own: &str, peer: &str) -> bool {
        let table = format!(
            "  sl\n 0: {address}:170C 00000000:0000 0A 0:0 0:0 0 0 0 7 1\n 1: {own}:170C {peer}:D431 01 0:0 0:0 0 0 0 8 1\n"
        );
        let (mut listening, mut connected) = (Vec::new(), Connected::default());
        parse(&table, &mut listening, &mut connected);
        connected.to(&listening)
    }

    #[test]
    fn parts_of_a_tool_that_talk_to_each_other_are_no_session_and_the_end_of_a_tunnel_is() {
        let (any, loopback, lan, far) = ("00000000", "0100007F", "0A00000A", "090071CB");
        assert!(connected(any, lan, far));
        assert!(!connected(any, loopback, loopback), "a part of the tool");
        assert!(!connected(any, lan, lan), "the same, by the laptop's own address");
        assert!(connected(loopback, loopback, loopback), "through a tunnel");
        let (any, mapped) = ("0".repeat(32), "0000000000000000FFFF0000090071CB");
        assert!(connected(&any, "0000000000000000FFFF00000A00000A", mapped));
        let own = "00000000000000000000000001000000";
        assert!(!connected(&any, own, own));
    }

    proptest! {
        #[test]
        fn tables_of_any_kind_never_panic(text in "\\PC{0,200}", end_of in "[0-9A-Fa-f:]{0,40}") {
            let _ = end(&end_of);
            let line = format!("x\n0: {end_of} {end_of} 01 {text}\n{text}");
            parse(&line, &mut Vec::new(), &mut Connected::default());
        }
    }
}
