//! Ports that a process listens on, and whether somebody is connected to them from outside, or through a tunnel: sockets
//! among its files, compared with its network namespace's tables.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::super::reach::{Connected, Listens};
use super::super::tools::{MOST_PORTS, Sockets};
use crate::sensors::{inet_sockets, read};

/// Most files of one process that are looked at.
const MOST_FILES: usize = 4096;
/// As much of a table as is read: some 30,000 sockets, listening ones first.
const MOST_TABLE: usize = 4 << 20;

/// Reads sockets; each namespace's tables once.
pub(super) struct Reader<'a> {
    root: &'a Path,
    /// The agent's own namespace, of which the kernel tells at less cost; `None` below a test's folder.
    own: Option<PathBuf>,
    tables: BTreeMap<PathBuf, Table>,
    stuffed: bool,
}

/// The sockets of one namespace.
#[derive(Default)]
struct Table {
    /// Sockets that listen.
    listening: Vec<Listening>,
    /// Ports with somebody at the other end; `None` until somebody asks.
    connected: Option<Connected>,
    /// UDP sockets that wait, by inode with their port; `None` until somebody asks.
    waiting: Option<Vec<(u64, u16)>>,
}

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Listening {
    inode: u64,
    at: Listens,
}

impl<'a> Reader<'a> {
    pub(super) fn new(root: &'a Path, live: bool) -> Self {
        let own = live.then(|| read::link(&root.join("proc/self/ns/net")).ok()).flatten();
        Self { root, own, tables: BTreeMap::new(), stuffed: false }
    }

    /// Why some sockets cannot be seen.
    pub(super) fn trouble(&self) -> Option<String> {
        let why = format!("a tool's ports cannot be seen: it has more than {MOST_FILES} files open");
        self.stuffed.then_some(why)
    }

    /// Sockets of a process, those of UDP if asked for; none if it may not be looked at.
    pub(super) fn of(&mut self, pid: u32, with_udp: bool) -> Sockets {
        let folder = self.root.join("proc").join(pid.to_string());
        let inodes = inodes(&folder.join("fd")).unwrap_or_else(|error| {
            self.stuffed |= error.is_stuffed();
            HashSet::new()
        });
        if inodes.is_empty() {
            return Sockets::default();
        }
        let namespace = read::link(&folder.join("ns/net")).unwrap_or_default();
        let is_own = self.own.as_ref() == Some(&namespace);
        let table = self.tables.entry(namespace).or_insert_with(|| {
            let told = is_own.then(|| told_by_the_kernel().ok()).flatten();
            told.unwrap_or_else(|| read_table(&folder.join("net")))
        });
        let mut udp = BTreeSet::new();
        if with_udp {
            let all = table.waiting.get_or_insert_with(|| waiting(is_own, &folder.join("net")));
            udp.extend(all.iter().filter(|(inode, _)| inodes.contains(inode)).map(|(_, port)| *port));
        }
        let own = table.listening.iter().filter(|socket| inodes.contains(&socket.inode));
        let own: Vec<Listens> = own.map(|socket| socket.at).collect();
        let ports: BTreeSet<u16> = own.iter().map(|socket| socket.port).take(MOST_PORTS).collect();
        if ports.is_empty() {
            return Sockets { udp, ..Sockets::default() };
        }
        let all = table.connected.get_or_insert_with(connected);
        Sockets { ports, connected: all.to(&own), from_internet: all.publicly_to(&own), udp }
    }
}

/// TCP sockets of the agent's own namespace that listen, by inode with their port.
pub(super) fn listening(root: &Path, live: bool) -> Vec<(u64, u16)> {
    let told = live.then(|| told_by_the_kernel().ok()).flatten();
    let table = told.unwrap_or_else(|| read_table(&root.join("proc/net")));
    table.listening.iter().map(|socket| (socket.inode, socket.at.port)).collect()
}

fn told_by_the_kernel() -> std::io::Result<Table> {
    let listening = inet_sockets::listening()?;
    let listening = listening.iter().map(|socket| Listening {
        inode: socket.inode,
        at: Listens { port: socket.port, inside: socket.address.is_loopback() },
    });
    Ok(Table { listening: listening.collect(), ..Table::default() })
}

fn connected() -> Connected {
    let mut connected = Connected::default();
    for socket in inet_sockets::connected().unwrap_or_default() {
        if let Some(peer) = socket.peer {
            connected.add(socket.port, socket.address, peer);
        }
    }
    connected
}

/// Inodes of the sockets among a process's files.
pub(super) fn inodes(files: &Path) -> Result<HashSet<u64>, read::ReadError> {
    read::sockets(files, MOST_FILES)
}

fn read_table(net: &Path) -> Table {
    let (mut listening, mut connected) = (Vec::new(), Connected::default());
    for name in ["tcp", "tcp6"] {
        let text = read::start(&net.join(name), MOST_TABLE).unwrap_or_default();
        parse(&text, &mut listening, &mut connected);
    }
    Table { listening, connected: Some(connected), waiting: None }
}

/// UDP sockets that wait, by inode with their port; those of the agent's own namespace (`is_own`) at less cost.
pub(super) fn waiting(is_own: bool, net: &Path) -> Vec<(u64, u16)> {
    if is_own && let Ok(sockets) = inet_sockets::waiting() {
        return sockets.iter().map(|socket| (socket.inode, socket.port)).collect();
    }
    let mut waiting = Vec::new();
    for name in ["udp", "udp6"] {
        let text = read::start(&net.join(name), MOST_TABLE).unwrap_or_default();
        rows(&text, |row| {
            waiting.extend(row.inode.filter(|_| row.state == "07").map(|inode| (inode, row.port)));
        });
    }
    waiting
}

/// A line of `/proc/net/tcp` or `/proc/net/udp`.
struct Row<'a> {
    own: IpAddr,
    port: u16,
    peer: IpAddr,
    /// TCP: `0A` listens, `01` is connected. UDP: `07` waits.
    state: &'a str,
    inode: Option<u64>,
}

fn rows(text: &str, mut take: impl FnMut(&Row<'_>)) {
    for line in text.lines().skip(1) {
        let mut words = line.split_ascii_whitespace();
        let (Some((own, port)), Some((peer, _)), Some(state)) =
            (words.nth(1).and_then(end), words.next().and_then(end), words.next())
        else {
            continue;
        };
        let inode = words.nth(5).and_then(|inode| inode.parse().ok());
        take(&Row { own, port, peer, state, inode });
    }
}

fn parse(text: &str, listening: &mut Vec<Listening>, connected: &mut Connected) {
    rows(text, |row| match row.state {
        "0A" => {
            let at = Listens { port: row.port, inside: row.own.is_loopback() };
            listening.extend(row.inode.map(|inode| Listening { inode, at }));
        }
        "01" => connected.add(row.port, row.own, row.peer),
        _ => {}
    });
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
        let expected =
            Sockets { ports: [5900].into(), connected: true, from_internet: true, ..Sockets::default() };
        assert_eq!(reader.of(9, true), expected);
        assert_eq!(reader.of(8, true), Sockets::default(), "listening, but not this process");
    }

    /// `/proc/net/udp` of Linux 6.1: two that wait, one of them another process's, and a client's.
    const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  141: 00000000:2709 00000000:0000 07 00000000:00000000 00:00000000 00000000   997        0 6001 2 0000000000000000 0
  303: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 6002 2 0000000000000000 0
 1101: 0A00000A:D431 090071CB:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 6003 2 0000000000000000 0
";
    const UDP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 2745: 00000000000000000000000000000000:A2A9 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   997        0 6004 2 0000000000000000 0
";

    #[test]
    fn udp_ports_are_those_that_the_process_waits_on_and_are_read_where_asked_for() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("proc/9/net/udp", UDP), ("proc/9/net/udp6", UDP6), ("proc/9/fd/0", "")]);
        for (file, inode) in [("5", 6001), ("6", 6003), ("7", 6004)] {
            symlink(format!("socket:[{inode}]"), root.path().join("proc/9/fd").join(file)).unwrap();
        }
        let mut reader = Reader::new(root.path(), false);
        assert_eq!(reader.of(9, false), Sockets::default());
        assert_eq!(reader.of(9, true).udp, [9993, 41_641].into());
    }

    #[test]
    fn a_tool_that_hides_its_sockets_among_too_many_files_is_told() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &[("proc/9/net/udp", UDP), ("proc/9/fd/0", "")]);
        symlink("socket:[6001]", root.path().join("proc/9/fd/7")).unwrap();
        let open =
            |n: usize| symlink("/dev/null", root.path().join("proc/9/fd").join(format!("x{n}"))).unwrap();
        (2..MOST_FILES).for_each(open);
        let mut reader = Reader::new(root.path(), false);
        assert_eq!((reader.of(9, true).udp.len(), reader.trouble()), (1, None));
        open(MOST_FILES);
        let hidden = reader.of(9, true);
        let told = "a tool's ports cannot be seen: it has more than 4096 files open";
        assert_eq!((hidden, reader.trouble().unwrap().as_str()), (Sockets::default(), told));
    }

    #[test]
    fn this_process_is_seen_as_it_is_by_the_kernel_and_by_its_file() {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        for live in [true, false] {
            let mut reader = Reader::new(Path::new("/"), live);
            assert!(reader.of(std::process::id(), true).udp.contains(&port), "live: {live}");
        }
    }

    #[test]
    fn a_table_of_a_million_lines_costs_no_more_than_its_bound() {
        let root = tempfile::tempdir().unwrap();
        let line = UDP.lines().nth(1).unwrap();
        let million = format!("{}\n{}", UDP.lines().next().unwrap(), format!("{line}\n").repeat(1_000_000));
        write(root.path(), &[("proc/9/net/udp", &million), ("proc/9/net/udp6", UDP6), ("proc/9/fd/0", "")]);
        symlink("socket:[6004]", root.path().join("proc/9/fd/7")).unwrap();
        let start = std::time::Instant::now();
        let found = waiting(false, &root.path().join("proc/9/net"));
        assert!(found.len() <= MOST_TABLE / line.len() + 1, "{}", found.len());
        assert_eq!(Reader::new(root.path(), false).of(9, true).udp, [41_641].into(), "the other family's");
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }

    /// Own port, whether it listens for outside, own end and peer of a connection.
    fn connected(address: &str, own: &str, peer: &str) -> bool {
        let table = format!(
            "  sl\n 0: {address}:170C 00000000:0000 0A 0:0 0:0 0 0 0 7 1\n 1: {own}:170C {peer}:D431 01 0:0 0:0 0 0 0 8 1\n"
        );
        let (mut listening, mut connected) = (Vec::new(), Connected::default());
        parse(&table, &mut listening, &mut connected);
        let listening: Vec<Listens> = listening.iter().map(|socket| socket.at).collect();
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

        #[test]
        fn udp_tables_of_any_kind_give_no_more_than_their_lines_and_what_stands_behind_junk(
            junk in "([0-9]{1,3}: ([0-9A-F]{8}:[0-9A-F]{4} ){2}0[0-9] [0-9: ]{0,30}\n|\\PC{0,80}\n){0,20}", cut in 0usize..2000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let of = |text: &[u8]| {
                std::fs::write(folder.path().join("udp"), text).unwrap();
                waiting(false, folder.path())
            };
            let text = format!("{UDP}{junk}\n{}\n", UDP.lines().nth(1).unwrap());
            let found = of(text.as_bytes());
            prop_assert!(found.len() <= text.lines().count() && found.last() == Some(&(6001, 9993)));
            prop_assert!(of(&text.as_bytes()[..cut.min(text.len())]).len() <= found.len());
        }
    }
}
