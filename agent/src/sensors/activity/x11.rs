//! When an X server last saw input, by its own account (the MIT-SCREEN-SAVER extension).
//!
//! What x11vnc, AnyDesk and their kin inject (XTEST), and all input of a virtual X server (Xvnc), never passes a
//! device of the kernel's; it does reset this time. Four requests of the X protocol (version 11), spoken by
//! hand: no library, no window, no event is asked for.

use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::sensors::Config;
use crate::sensors::read;

/// An X server that takes longer to answer is not asked again for a while.
const PATIENCE: Duration = Duration::from_millis(300);
/// Most events that may stand before a reply.
const MOST_EVENTS: usize = 4096;
/// Most displays that are asked.
const MOST: usize = 8;
/// X servers by the names of their processes. Xwayland is none: it sees only what its windows get.
const SERVERS: [&str; 6] = ["Xorg", "X", "Xvnc", "Xtigervnc", "Xtightvnc", "Xvfb"];
const EXTENSION: &[u8; 16] = b"MIT-SCREEN-SAVER";
const COOKIE: &str = "MIT-MAGIC-COOKIE-1";

/// A display that answers.
#[derive(Debug)]
pub struct Screen {
    /// Its number.
    pub number: u32,
    stream: UnixStream,
    root: u32,
    opcode: u8,
}

/// Displays of this machine that answer, `known` among them kept, and how many do not let us ask.
pub fn screens(config: &Config, mut known: Vec<Screen>) -> (Vec<Screen>, usize) {
    let servers = servers(config);
    known.retain(|screen| servers.iter().any(|server| server.number == screen.number));
    let mut refused = 0;
    for server in servers {
        if known.iter().any(|screen| screen.number == server.number) || known.len() == MOST {
            continue;
        }
        match Screen::open(&server) {
            Ok(screen) => known.push(screen),
            Err(error) => {
                tracing::debug!(display = server.number, %error, "X display not asked");
                refused += 1;
            }
        }
    }
    (known, refused)
}

impl Screen {
    fn open(server: &Server) -> io::Result<Self> {
        let mut stream = connect(server.number)?;
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
        Ok(Self { number: server.number, stream, root, opcode: answer[9] })
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
    cookie: Option<Vec<u8>>,
}

fn servers(config: &Config) -> Vec<Server> {
    let proc = config.path("proc");
    let mut servers: Vec<Server> = Vec::new();
    for pid in read::names(&proc, usize::MAX).unwrap_or_default() {
        if !pid.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let dir = proc.join(pid);
        let name = read::attribute(&dir.join("comm")).unwrap_or_default();
        if SERVERS.contains(&name.as_str())
            && let Some(server) = server(&dir)
            && servers.iter().all(|other| other.number != server.number)
        {
            servers.push(server);
        }
    }
    servers
}

/// `Xorg :1 vt2 -auth /run/user/120/gdm/Xauthority`; without a display it is the first.
fn server(process: &Path) -> Option<Server> {
    let line = read::bytes(&process.join("cmdline"), read::SMALL).ok()?;
    let arguments: Vec<&str> = line.split(|b| *b == 0).filter_map(|a| std::str::from_utf8(a).ok()).collect();
    let number = arguments.iter().find_map(|a| a.strip_prefix(':')?.parse().ok()).unwrap_or(0);
    let auth = arguments.iter().position(|a| *a == "-auth").and_then(|at| arguments.get(at + 1));
    let cookie = auth.and_then(|path| cookie(&read::bytes(Path::new(path), read::SMALL).ok()?, number));
    Some(Server { number, cookie })
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

/// By its socket's name, which a private `/tmp` does not hide, else by its file.
fn connect(number: u32) -> io::Result<UnixStream> {
    let path = format!("/tmp/.X11-unix/X{number}");
    let by_name = SocketAddr::from_abstract_name(&path).and_then(|name| UnixStream::connect_addr(&name));
    by_name.or_else(|_| UnixStream::connect(path))
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
