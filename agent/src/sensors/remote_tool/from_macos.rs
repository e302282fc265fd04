//! What macOS says of processes, sockets, launchd's items and apps, in the words of the catalogue.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use farmwatch_shared::catalogue::{Catalogue, Match, Os, Proves};
use farmwatch_shared::program::Program;

use super::reach::{self, Connection, Listens};
use super::tools::{Hit, Sockets};
use crate::apple::plist::{Dict, Plist, text};

/// Most arguments of a program.
const MOST_ARGUMENTS: i32 = 256;
/// Bytes of a `socket_fdinfo` (sys/proc_info.h), and where in it are: the protocol, the kind of socket, the port at the
/// other end and the port here in the network's order, whether the addresses are IPv4's, the address at the other end and
/// the one here (of IPv4 the last four of 16 bytes), TCP's state.
pub(super) const SOCKET: usize = 792;
const PROTOCOL: usize = 180;
const KIND: usize = 256;
const PEER_PORT: usize = 264;
const PORT: usize = 268;
const VERSION: usize = 288;
const PEER: usize = 296;
const OWN: usize = 312;
const STATE: usize = 344;
/// `SOCKINFO_IN`, `IPPROTO_UDP`; `SOCKINFO_TCP`, `TSI_S_LISTEN`, `TSI_S_ESTABLISHED`.
const INTERNET: i32 = 1;
const UDP: i32 = 17;
const TCP: i32 = 2;
const LISTENS: i32 = 1;
const ESTABLISHED: i32 = 4;
/// `INI_IPV4`.
const IPV4: u8 = 1;
/// What `csops` writes before a text: a word of zeros, the length of all.
const HEADER: usize = 8;

/// A socket of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) pid: u32,
    /// Address and port at this end.
    pub(super) own: (IpAddr, u16),
    pub(super) is: Is,
}

impl Socket {
    /// Somebody is at the other end of this port.
    pub(super) fn is_connected_to(&self, port: u16) -> bool {
        self.own.1 == port && matches!(self.is, Is::Connected(_))
    }

    /// Somebody at a public address is at the other end of this port.
    pub(super) fn is_publicly_connected_to(&self, port: u16) -> bool {
        self.own.1 == port && matches!(self.is, Is::Connected((peer, _)) if reach::is_public(peer))
    }

    fn connection(&self) -> Option<Connection> {
        let Is::Connected(peer) = self.is else { return None };
        Some(Connection { pid: self.pid, own: self.own, peer })
    }
}

/// What a socket is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    /// TCP: it waits for somebody.
    Listening,
    /// TCP: somebody is at the other end, with this address and port.
    Connected((IpAddr, u16)),
    /// UDP: it takes from anybody.
    Waiting,
}

/// A TCP socket that listens or is connected, or a UDP socket that is not, from what `proc_pidfdinfo(PROC_PIDFDSOCKETINFO)` returns.
pub(super) fn socket(pid: u32, info: &[u8]) -> Option<Socket> {
    let word = |at: usize| Some(i32::from_ne_bytes(info.get(at..at + 4)?.try_into().ok()?));
    let own = end(info, OWN, PORT)?;
    let is = match (word(KIND)?, word(STATE)?) {
        (TCP, LISTENS) => Is::Listening,
        (TCP, ESTABLISHED) => Is::Connected(end(info, PEER, PEER_PORT)?),
        (INTERNET, _) if word(PROTOCOL)? == UDP && word(PEER_PORT)? == 0 && own.1 != 0 => Is::Waiting,
        _ => return None,
    };
    Some(Socket { pid, own, is })
}

fn end(info: &[u8], address: usize, port: usize) -> Option<(IpAddr, u16)> {
    let port = u16::from_be_bytes(info.get(port..port + 2)?.try_into().ok()?);
    let bytes: [u8; 16] = info.get(address..address + 16)?.try_into().ok()?;
    let [.., a, b, c, d] = bytes;
    let is_old = info.get(VERSION)? & IPV4 != 0;
    let address =
        if is_old { Ipv4Addr::new(a, b, c, d).into() } else { Ipv6Addr::from(bytes).to_canonical() };
    Some((address, port))
}

/// A text from what `csops(CS_OPS_IDENTITY)` and `csops(CS_OPS_TEAMID)` return.
pub(super) fn signed(bytes: &[u8]) -> Option<String> {
    let text = bytes.get(HEADER..)?.split(|byte| *byte == 0).next()?;
    let text = std::str::from_utf8(text).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whose program this is: by path and arguments, else by the identity that it was signed with and the kernel checked,
/// which a renamed or moved copy keeps.
pub(super) fn whose(
    catalogue: &Catalogue,
    path: &str,
    arguments: Option<&str>,
    identity: impl FnOnce() -> Program,
) -> Option<Hit> {
    if let Some(hit) = catalogue.by_process(Os::Macos, path, arguments) {
        return Some(hit.into());
    }
    let program = identity();
    let proves_use = |hit: &Match<'_>| hit.proves == Proves::Use;
    catalogue.by_program(Os::Macos, &program).filter(proves_use).map(Hit::from)
}

/// What a process's sockets say. Somebody is connected to a port by whichever process, since launchd listens for the
/// programs that it starts. `same`: whether a process is of the same tool.
pub(super) fn serves(sockets: &[Socket], pid: u32, same: impl Fn(u32) -> bool) -> Sockets {
    let own = |is| sockets.iter().filter(move |socket| socket.is == is && socket.pid == pid);
    let listening: Vec<Listens> = own(Is::Listening)
        .map(|socket| Listens { port: socket.own.1, inside: socket.own.0.is_loopback() })
        .collect();
    let udp = own(Is::Waiting).map(|socket| socket.own.1).collect();
    let connections = sockets.iter().filter_map(Socket::connection);
    reach::sockets(&listening, udp, connections, same)
}

/// A program's arguments from what `sysctl(KERN_PROCARGS2)` returns: their number, the program's path, zeros, the
/// arguments, the environment. The arguments alone are taken, separated by zeros.
pub(super) fn arguments(bytes: &[u8]) -> Option<String> {
    let (count, rest) = bytes.split_first_chunk::<4>()?;
    let count = i32::from_ne_bytes(*count).clamp(0, MOST_ARGUMENTS);
    let path = rest.iter().position(|byte| *byte == 0)?;
    let rest = rest.get(path..)?;
    let start = rest.iter().position(|byte| *byte != 0)?;
    let arguments = rest.get(start..)?.split(|byte| *byte == 0).take(usize::try_from(count).ok()?);
    let arguments: Vec<_> = arguments.map(String::from_utf8_lossy).collect();
    (!arguments.is_empty()).then(|| arguments.join("\0"))
}

/// Whose a launchd item is: by its label, by its file's name, by the program that it starts.
pub(super) fn launchd(catalogue: &Catalogue, file: &str, item: Option<&Plist>) -> Option<Hit> {
    let service = |name: &str| catalogue.by_service(Os::Macos, name);
    let dict = item.and_then(Plist::dict);
    let label = dict.and_then(|dict| text(dict, "Label"));
    let by_name = label.as_deref().and_then(service).or_else(|| service(file.strip_suffix(".plist")?));
    let hit = by_name.or_else(|| {
        let (program, command_line) = started(dict?)?;
        catalogue.by_process(Os::Macos, &program, Some(&command_line))
    });
    hit.map(Hit::from)
}

/// The program of a launchd item, and its arguments separated by zeros.
fn started(dict: &Dict) -> Option<(String, String)> {
    let arguments: Vec<&str> = dict
        .get("ProgramArguments")
        .map(Plist::array)
        .unwrap_or_default()
        .iter()
        .filter_map(|argument| if let Plist::Text(text) = argument { Some(text.as_str()) } else { None })
        .collect();
    let program = text(dict, "Program").or_else(|| Some((*arguments.first()?).to_owned()))?;
    Some((program, arguments.join("\0")))
}

/// Whose an app is: by its bundle's name, by its identifier, by the program in it. The last two stay when somebody
/// renames the bundle.
pub(super) fn app(catalogue: &Catalogue, bundle: &str, info: Option<&Plist>) -> Option<Hit> {
    let dict = info.and_then(Plist::dict);
    let of = |key| dict.and_then(|dict| text(dict, key));
    let hit = catalogue
        .by_process(Os::Macos, bundle, None)
        .or_else(|| catalogue.by_package(Os::Macos, &of("CFBundleIdentifier")?))
        .or_else(|| catalogue.by_service(Os::Macos, &of("CFBundleIdentifier")?))
        .or_else(|| catalogue.by_process(Os::Macos, &format!("{}.app", of("CFBundleName")?), None))
        .or_else(|| catalogue.by_process(Os::Macos, &of("CFBundleExecutable")?, None));
    hit.map(Hit::from)
}

/// Services of the system's own that somebody switched on: `/var/db/com.apple.xpc.launchd/disabled.plist` says of
/// each whether it is off.
pub(super) fn switched_on(disabled: &Plist, label: &str) -> bool {
    disabled.dict().and_then(|dict| dict.get(label)) == Some(&Plist::Bool(false))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::plist::parse;

    const CATALOGUE: &str = "farmwatch-catalogue 1
tool anydesk remote_desktop AnyDesk
macos process AnyDesk.app
macos process anydesk ; args --service ; serving
macos service com.philandro.anydesk.* ; serving
macos bundle com.philandro.anydesk
tool vnc remote_desktop A VNC server
macos process vncserver ; serving
";

    fn item(body: &str) -> Plist {
        parse(format!("<plist version=\"1.0\"><dict>{body}</dict></plist>").as_bytes()).unwrap()
    }

    /// What the kernel says of a socket, all else zeros.
    fn info(kind: i32, port: u16, state: i32) -> Vec<u8> {
        let mut bytes = vec![0; SOCKET];
        bytes[KIND..KIND + 4].copy_from_slice(&kind.to_ne_bytes());
        bytes[PORT..PORT + 2].copy_from_slice(&port.to_be_bytes());
        bytes[STATE..STATE + 4].copy_from_slice(&state.to_ne_bytes());
        bytes
    }

    #[test]
    fn listening_ports_and_connections_are_told_apart_and_all_else_is_left_out() {
        let listens = socket(866, &info(TCP, 5000, LISTENS)).unwrap();
        let connected = socket(797, &info(TCP, 58_641, ESTABLISHED)).unwrap();
        let any = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        assert_eq!(connected, Socket { pid: 797, own: (any, 58_641), is: Is::Connected((any, 0)) });
        let expected = Sockets { ports: [5000].into(), ..Sockets::default() };
        assert_eq!(serves(&[listens, connected], 866, |_| false), expected);
        assert_eq!(socket(224, &info(INTERNET, 5353, 0)), None, "neither TCP nor UDP: a raw socket");
        assert_eq!(socket(224, &info(TCP, 5000, 0)), None, "closed");
        assert_eq!(socket(224, &info(TCP, 5000, LISTENS)[..STATE]), None);
    }

    #[test]
    fn what_launchd_listens_for_is_connected_when_its_program_is() {
        let own = |address: [u8; 4]| (IpAddr::from(address), 5900);
        let far = (IpAddr::from([203, 0, 113, 9]), 50_001);
        let found = [
            Socket { pid: 1, own: own([0; 4]), is: Is::Listening },
            Socket { pid: 1, own: own([0; 4]), is: Is::Listening },
            Socket { pid: 911, own: own([10, 0, 0, 10]), is: Is::Connected(far) },
        ];
        let expected =
            Sockets { ports: [5900].into(), connected: true, from_internet: true, ..Sockets::default() };
        assert_eq!(serves(&found, 1, |pid| pid == 1), expected);
        assert!(found[2].is_connected_to(5900) && !found[0].is_connected_to(5900));
        assert!(found[2].is_publicly_connected_to(5900) && !found[0].is_publicly_connected_to(5900));
    }

    /// AnyDesk's service (9) and its window (10), VNC (11) behind a tunnel whose end is none of the tools'.
    #[test]
    fn a_tools_own_window_is_no_session_and_the_end_of_a_tunnel_is() {
        let of = |pid, port: u16, peer: u16, state| {
            let mut bytes = info(TCP, port, state);
            bytes[PEER_PORT..PEER_PORT + 2].copy_from_slice(&peer.to_be_bytes());
            bytes[VERSION] = IPV4;
            for at in [OWN, PEER] {
                bytes[at + 12..at + 16].copy_from_slice(&[127, 0, 0, 1]);
            }
            socket(pid, &bytes).unwrap()
        };
        let sockets = [
            of(9, 7070, 0, LISTENS),
            of(9, 7070, 50_001, ESTABLISHED),
            of(10, 50_001, 7070, ESTABLISHED),
            of(11, 5900, 0, LISTENS),
            of(11, 5900, 50_002, ESTABLISHED),
        ];
        let anydesk = serves(&sockets, 9, |pid| [9, 10].contains(&pid));
        assert_eq!((anydesk.ports.len(), anydesk.connected), (1, false));
        assert!(serves(&sockets, 11, |pid| pid == 11).connected);
    }

    #[test]
    fn a_udp_socket_waits_unless_it_is_connected_or_has_no_port_yet() {
        let udp = |port: u16, peer: u16| {
            let mut bytes = info(INTERNET, port, 0);
            bytes[PROTOCOL..PROTOCOL + 4].copy_from_slice(&UDP.to_ne_bytes());
            bytes[PEER_PORT..PEER_PORT + 2].copy_from_slice(&peer.to_be_bytes());
            socket(7, &bytes)
        };
        let waits = udp(41_641, 0).unwrap();
        let own = (Ipv6Addr::UNSPECIFIED.into(), 41_641);
        assert_eq!(waits, Socket { pid: 7, own, is: Is::Waiting });
        assert_eq!((udp(53_122, 443), udp(0, 0)), (None, None));
        let expected = Sockets { udp: [41_641].into(), ..Sockets::default() };
        assert_eq!(serves(&[waits], 7, |_| false), expected);
        assert_eq!(serves(&[waits], 8, |_| false), Sockets::default());
    }

    #[test]
    fn a_renamed_copy_is_known_by_the_identity_that_it_was_signed_with() {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let mut blob = vec![0, 0, 0, 0, 0, 0, 0, 30];
        blob.extend(b"com.philandro.anydesk\0junk");
        let signed_so = || Program { bundle: signed(&blob), ..Program::default() };
        let hit = whose(&catalogue, "/Users/x/Notes", None, signed_so).unwrap();
        assert_eq!(&*hit.tool, "anydesk");
        assert!(whose(&catalogue, "/usr/bin/notes", None, Program::default).is_none());
        let never = || panic!("its path says it already");
        assert!(whose(&catalogue, "/Applications/AnyDesk.app/Contents/MacOS/AnyDesk", None, never).is_some());
        assert_eq!((signed(&blob[..8]), signed(&[])), (None, None));
    }

    #[test]
    fn arguments_are_taken_and_the_environment_is_not() {
        let mut bytes = 2i32.to_ne_bytes().to_vec();
        bytes.extend(
            b"/Applications/AnyDesk.app/Contents/MacOS/AnyDesk\0\0\0\0AnyDesk\0--service\0SECRET=1\0",
        );
        assert_eq!(arguments(&bytes).as_deref(), Some("AnyDesk\0--service"));
        assert_eq!(arguments(&[1, 0, 0]), None);
    }

    #[test]
    fn a_launchd_item_is_known_by_label_file_and_program() {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let tool = |file: &str, body: &str| {
            launchd(&catalogue, file, Some(&item(body))).map(|hit| hit.tool.to_string())
        };
        let label = "<key>Label</key><string>com.philandro.anydesk.service</string>";
        assert_eq!(tool("x.plist", label).as_deref(), Some("anydesk"));
        assert_eq!(tool("com.philandro.anydesk.Frontend.plist", "").as_deref(), Some("anydesk"));
        let renamed = "<key>Label</key><string>com.example.printer</string><key>ProgramArguments</key><array>\
                       <string>/usr/local/bin/vncserver</string><string>-forever</string></array>";
        assert_eq!(tool("com.example.printer.plist", renamed).as_deref(), Some("vnc"));
        assert_eq!(tool("com.example.other.plist", "<key>Label</key><integer>7</integer>"), None);
    }

    #[test]
    fn a_renamed_app_is_known_by_what_is_in_it() {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let info = item("<key>CFBundleIdentifier</key><string>com.philandro.anydesk.x</string>");
        assert_eq!(&*app(&catalogue, "Notes 2.app", Some(&info)).unwrap().tool, "anydesk");
        let info = item("<key>CFBundleName</key><string>AnyDesk</string>");
        assert_eq!(&*app(&catalogue, "Notes 2.app", Some(&info)).unwrap().tool, "anydesk");
        assert_eq!(&*app(&catalogue, "AnyDesk.app", None).unwrap().tool, "anydesk");
        assert!(app(&catalogue, "Notes.app", Some(&item(""))).is_none());
    }

    #[test]
    fn screen_sharing_is_on_where_launchd_says_that_it_is_not_off() {
        let disabled = item("<key>com.apple.screensharing</key><false/><key>com.openssh.sshd</key><true/>");
        assert!(switched_on(&disabled, "com.apple.screensharing"));
        assert!(!switched_on(&disabled, "com.openssh.sshd") && !switched_on(&disabled, "com.apple.ftpd"));
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..900), kind in 0i32..4, state in -1i32..6) {
            let _ = (arguments(&bytes), signed(&bytes));
            let mut made = info(kind, 22, state);
            made.truncate(bytes.len());
            for socket in [socket(1, &bytes), socket(1, &made)].into_iter().flatten() {
                let serves = serves(&[socket], socket.pid, |_| true);
                prop_assert!(serves.ports.len() + serves.udp.len() <= 1);
            }
        }
    }

    #[test]
    fn a_million_arguments_and_sockets_are_bounded() {
        let bytes = [&i32::MAX.to_ne_bytes()[..], b"/bin/x\0\0", &b"a\0".repeat(1_000_000)].concat();
        assert_eq!(arguments(&bytes).unwrap().split('\0').count(), 256);
        let any = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        let many: Vec<Socket> = (0..1_000_000u32)
            .map(|n| Socket { pid: 1, own: (any, (n % 60_000) as u16), is: Is::Listening })
            .collect();
        assert_eq!(serves(&many, 1, |_| false).ports.len(), super::super::tools::MOST_PORTS);
    }
}
