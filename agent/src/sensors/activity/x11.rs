//! When an X server last saw input, by its own account (the MIT-SCREEN-SAVER extension).
//!
//! What x11vnc, AnyDesk and their kin inject (XTEST), and all input of a virtual X server (Xvnc), never passes a
//! device of the kernel's; it does reset this time. Four requests of the X protocol (version 11), spoken by
//! hand: no library, no window, no event is asked for.
//!
//! Whose a display is goes by the sockets that a server's process holds: what a process calls itself and what it was
//! started with anybody can choose, to stand in the way of the server that is to be asked.

use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;

use super::displays::displays;
use crate::sensors::Config;
use crate::sensors::read;

/// An X server that takes longer to answer is not asked again for a while.
const PATIENCE: Duration = Duration::from_millis(300);
/// Most events that may stand before a reply.
const MOST_EVENTS: usize = 4096;
/// Most displays that are asked, those with the lowest numbers: the machine's own come before what anybody starts.
const MOST: usize = 8;
/// As much as is read of the machine's sockets: some 100,000.
const MOST_TABLE: usize = 8 << 20;
/// Most open files of a server: one has a few hundred clients.
const MOST_FILES: usize = 4096;
/// X servers by the names of their processes. Xwayland is none: it sees only what its windows get.
const SERVERS: [&str; 6] = ["Xorg", "X", "Xvnc", "Xtigervnc", "Xtightvnc", "Xvfb"];
const EXTENSION: &[u8; 16] = b"MIT-SCREEN-SAVER";
const COOKIE: &str = "MIT-MAGIC-COOKIE-1";

/// A display that answers.
#[derive(Debug)]
pub struct Screen {
    /// Its number.
    pub number: u32,
    pid: i32,
    stream: UnixStream,
    root: u32,
    opcode: u8,
}

/// Where injected input is not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unseen {
    /// An X display does not let us ask.
    pub refused: bool,
    /// There are more X displays than are asked.
    pub left_out: bool,
    /// There is a display of Wayland's, which tells nobody.
    pub wayland: bool,
}

/// X displays of this machine that answer, `known` among them kept, and what cannot be seen.
pub fn screens(config: &Config, known: Vec<Screen>) -> (Vec<Screen>, Unseen) {
    let (mut servers, mut unseen) = servers(config);
    unseen.left_out = keep_lowest(&mut servers);
    let still = |screen: &Screen| {
        servers.iter().any(|server| (server.number, server.pid) == (screen.number, screen.pid))
    };
    let mut screens: Vec<Screen> = known.into_iter().filter(still).collect();
    for server in servers {
        if screens.iter().any(|screen| screen.number == server.number) {
            continue;
        }
        match Screen::open(&server) {
            Ok(screen) => screens.push(screen),
            Err(error) => {
                tracing::debug!(display = server.number, %error, "X display not asked");
                unseen.refused = true;
            }
        }
    }
    (screens, unseen)
}

/// One server a display, in the order of their numbers; answers whether there are more than are asked.
fn keep_lowest(servers: &mut Vec<Server>) -> bool {
    servers.sort_by_key(|server| server.number);
    servers.dedup_by_key(|server| server.number);
    let too_many = servers.len() > MOST;
    servers.truncate(MOST);
    too_many
}

impl Screen {
    fn open(server: &Server) -> io::Result<Self> {
        let mut stream = connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&hello(server.cookie.as_deref()))?;
        let root = root_window(&mut stream)?;
        let mut ask = vec![98, 0, 6, 0, 16, 0, 0, 0];
        ask.extend(EXTENSION);
        stream.write_all(&ask)?;
        let answer = reply(&mut stream)?;
        if answer[8] == 0 {
            return Err(io::Error::other("the X server has no screen saver extension"));
        }
        Ok(Self { number: server.number, pid: server.pid, stream, root, opcode: answer[9] })
    }

    /// Time since the server last saw input.
    pub fn idle(&mut self) -> io::Result<Duration> {
        let mut ask = vec![self.opcode, 1, 2, 0];
        ask.extend(self.root.to_le_bytes());
        self.stream.write_all(&ask)?;
        let answer = reply(&mut self.stream)?;
        let idle = u32::from_le_bytes([answer[16], answer[17], answer[18], answer[19]]);
        Ok(Duration::from_millis(idle.into()))
    }
}

/// An X server that runs, and what lets us in.
struct Server {
    number: u32,
    pid: i32,
    cookie: Option<Vec<u8>>,
}

fn servers(config: &Config) -> (Vec<Server>, Unseen) {
    let proc = config.path("proc");
    let Ok(table) = read::text(&proc.join("net/unix"), MOST_TABLE) else {
        return (Vec::new(), Unseen { refused: true, ..Unseen::default() });
    };
    let displays = displays(&table);
    let mut unseen = Unseen { wayland: displays.wayland, ..Unseen::default() };
    let mut servers = Vec::new();
    let pids = read::names(&proc, usize::MAX).unwrap_or_default();
    for pid in pids.iter().filter_map(|name| name.parse::<i32>().ok()) {
        let process = proc.join(pid.to_string());
        let name = read::attribute(&process.join("comm")).unwrap_or_default();
        if !SERVERS.contains(&name.as_str()) {
            continue;
        }
        let Ok(held) = read::sockets(&process.join("fd"), MOST_FILES) else {
            unseen.refused |= process.exists();
            continue;
        };
        let held = displays.x11.iter().filter(|(inode, _)| held.contains(inode));
        let auth = authority(&process);
        servers.extend(held.map(|(_, number)| {
            let cookie =
                auth.as_deref().and_then(|path| cookie(&read::bytes(path, read::SMALL).ok()?, *number));
            Server { number: *number, pid, cookie }
        }));
    }
    (servers, unseen)
}

/// `Xorg vt2 -displayfd 3 -auth /run/user/120/gdm/Xauthority`: where its cookies are.
fn authority(process: &Path) -> Option<PathBuf> {
    let line = read::bytes(&process.join("cmdline"), read::SMALL).ok()?;
    let mut arguments = line.split(|b| *b == 0).filter_map(|a| std::str::from_utf8(a).ok());
    arguments.find(|argument| *argument == "-auth")?;
    arguments.next().map(PathBuf::from)
}

/// The cookie for a display from an authority file: entries of family, address, display, name and data, each
/// with its length before it, in network order.
fn cookie(file: &[u8], number: u32) -> Option<Vec<u8>> {
    fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (field, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        *rest = after;
        Some(field)
    }
    let mut rest = file;
    loop {
        rest = rest.get(2..)?;
        let (_address, display) = (field(&mut rest)?, field(&mut rest)?);
        let (name, data) = (field(&mut rest)?, field(&mut rest)?);
        let ours = display.is_empty() || display == number.to_string().as_bytes();
        if ours && name == COOKIE.as_bytes() {
            return Some(data.to_vec());
        }
    }
}

/// By its socket's name, which a private `/tmp` does not hide, else by its file. Another process may hold one of them.
fn connect(server: &Server) -> io::Result<UnixStream> {
    let path = format!("/tmp/.X11-unix/X{}", server.number);
    let is_its_own = |stream: &UnixStream| {
        socket_peercred(stream).is_ok_and(|peer| peer.pid.as_raw_nonzero().get() == server.pid)
    };
    let by_name = SocketAddr::from_abstract_name(&path).and_then(|name| UnixStream::connect_addr(&name));
    match by_name {
        Ok(stream) if is_its_own(&stream) => Ok(stream),
        _ => {
            let stream = UnixStream::connect(path)?;
            if is_its_own(&stream) { Ok(stream) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
        }
    }
}

/// Opens the conversation: byte order, version, name and data of the cookie.
fn hello(cookie: Option<&[u8]>) -> Vec<u8> {
    let (name, data) = cookie.map_or((&b""[..], &b""[..]), |data| (COOKIE.as_bytes(), data));
    let mut bytes = vec![b'l', 0, 11, 0, 0, 0];
    for field in [name, data] {
        bytes.extend(u16::try_from(field.len()).unwrap_or(0).to_le_bytes());
    }
    bytes.extend([0, 0]);
    for field in [name, data] {
        bytes.extend(field);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// Reads the server's answer to [`hello`]: the first screen's root window.
fn root_window(stream: &mut UnixStream) -> io::Result<u32> {
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let mut rest = vec![0; usize::from(u16::from_le_bytes([head[6], head[7]])) * 4];
    stream.read_exact(&mut rest)?;
    if head[0] != 1 {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    root_in(&rest).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// 32 bytes, the vendor's name, pixmap formats of 8 bytes, and then the screens, each beginning with its root.
fn root_in(setup: &[u8]) -> Option<u32> {
    let vendor = usize::from(u16::from_le_bytes([*setup.get(16)?, *setup.get(17)?]));
    let formats = usize::from(*setup.get(21)?);
    let at = 32 + vendor.next_multiple_of(4) + 8 * formats;
    Some(u32::from_le_bytes(setup.get(at..at + 4)?.try_into().ok()?))
}

/// A reply of 32 bytes. The server tells every client of a new keyboard layout, asked or not (`MappingNotify`; software
/// that types makes it do so): events before the reply are passed over. An error ends the conversation.
fn reply(stream: &mut impl io::Read) -> io::Result<[u8; 32]> {
    let mut answer = [0; 32];
    for _ in 0..MOST_EVENTS {
        stream.read_exact(&mut answer)?;
        match answer[0] {
            0 => break,
            1 => return Ok(answer),
            _ => {}
        }
    }
    Err(io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(display: &str, name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1, 0];
        for field in [b"host".as_slice(), display.as_bytes(), name.as_bytes(), data] {
            bytes.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
            bytes.extend(field);
        }
        bytes
    }

    #[test]
    fn the_cookie_of_the_asked_display_is_found() {
        let file = [
            entry("0", COOKIE, b"zero"),
            entry("1", "XDM-AUTHORIZATION-1", b"no"),
            entry("1", COOKIE, b"one"),
        ];
        assert_eq!(cookie(&file.concat(), 1).as_deref(), Some(&b"one"[..]));
        assert_eq!(cookie(&file.concat(), 2), None);
    }

    #[test]
    fn servers_that_anybody_starts_do_not_push_out_the_machines_own() {
        let server = |number| Server { number, pid: 100_234, cookie: None };
        let asked = |numbers: &[u32]| {
            let mut servers: Vec<Server> = numbers.iter().copied().map(server).collect();
            let left_out = keep_lowest(&mut servers);
            (servers.iter().map(|server| server.number).collect::<Vec<_>>(), left_out)
        };
        assert_eq!(asked(&[1, 0, 1]), (vec![0, 1], false));
        let (kept, left_out) = asked(&[20, 21, 22, 23, 24, 25, 26, 27, 28, 0]);
        assert!(left_out && kept.len() == MOST && kept[0] == 0, "{kept:?}");
    }

    #[test]
    fn a_reply_is_found_behind_what_the_server_tells_unasked() {
        let message = |kind: u8, second: u8| [&[kind, second][..], &[0; 30]].concat();
        let said = [message(34, 0), message(34, 0), message(1, 7)].concat();
        assert_eq!(reply(&mut &said[..]).unwrap()[1], 7);
        assert!(reply(&mut &message(0, 3)[..]).is_err(), "an error");
        assert!(reply(&mut &message(34, 0)[..]).is_err(), "no reply");
        assert!(reply(&mut io::repeat(34)).is_err(), "no end of events");
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = (cookie(&bytes, 0), root_in(&bytes));
        }

        #[test]
        fn whatever_a_server_says_ends_in_a_reply_or_an_error(
            messages in prop::collection::vec((0..40u8, any::<[u8; 31]>()), 0..40), cut in 0usize..40
        ) {
            let mut said: Vec<u8> = messages.iter().flat_map(|(kind, rest)| [&[*kind][..], rest].concat()).collect();
            said.truncate(said.len().saturating_sub(cut));
            let answer = reply(&mut &said[..]);
            // Behind what is cut nothing is made up, and an error before the reply ends it.
            let first = messages.iter().position(|(kind, _)| *kind < 2);
            let whole = first.filter(|at| *at < MOST_EVENTS && (at + 1) * 32 <= said.len());
            let expected = whole.and_then(|at| messages.get(at)).filter(|(kind, _)| *kind == 1);
            prop_assert_eq!(answer.ok().map(|answer| answer[1..].to_vec()), expected.map(|(_, rest)| rest.to_vec()));
        }
    }
}
