//! Whether somebody is connected to a tool's ports. Pure.
//!
//! Parts of a tool talk to each other through the laptop's own addresses all day (NoMachine's, xrdp's): that is no
//! session. A server that listens on no other address waits for the end of a tunnel, so there it is one, unless what
//! came is a part of the tool itself, as far as the system tells whose a connection is: a service's own window.

use std::collections::HashSet;
use std::net::IpAddr;

#[cfg(any(windows, target_os = "macos", test))]
use {
    super::tools::{MOST_PORTS, Sockets},
    std::collections::BTreeSet,
};

/// A port that something listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listens {
    pub(super) port: u16,
    /// Only for this machine itself.
    pub(super) inside: bool,
}

/// Own ports of connections.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Connected {
    from_outside: HashSet<u16>,
    /// Of these, from public addresses.
    public: HashSet<u16>,
    from_inside: HashSet<u16>,
}

impl Connected {
    /// Adds a connection: its own end and the other's address.
    pub(super) fn add(&mut self, port: u16, own: IpAddr, peer: IpAddr) {
        let ports = if is_inside(own, peer) { &mut self.from_inside } else { &mut self.from_outside };
        ports.insert(port);
        if is_public(peer) {
            self.public.insert(port);
        }
    }

    /// Whether somebody at a public address is at the other end of one of these.
    pub(super) fn publicly_to(&self, listening: &[Listens]) -> bool {
        listening.iter().any(|one| self.public.contains(&one.port))
    }

    /// Whether somebody is at the other end of one of these.
    pub(super) fn to(&self, listening: &[Listens]) -> bool {
        let open: HashSet<u16> = listening.iter().filter(|one| !one.inside).map(|one| one.port).collect();
        let to = |one: &Listens| {
            self.from_outside.contains(&one.port)
                || (self.from_inside.contains(&one.port) && !open.contains(&one.port))
        };
        listening.iter().any(to)
    }
}

/// A connection of a process.
#[cfg(any(windows, target_os = "macos", test))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) pid: u32,
    pub(super) own: (IpAddr, u16),
    pub(super) peer: (IpAddr, u16),
}

/// What the sockets say of a process that listens on these TCP ports and waits on these UDP ports. `same`: whether a process
/// is of the same tool.
#[cfg(any(windows, target_os = "macos", test))]
pub(super) fn sockets(
    listening: &[Listens],
    udp: BTreeSet<u16>,
    connections: impl Iterator<Item = Connection> + Clone,
    same: impl Fn(u32) -> bool,
) -> Sockets {
    if listening.is_empty() {
        return Sockets { udp, ..Sockets::default() };
    }
    let connected = but_its_own(connections, same);
    Sockets {
        ports: listening.iter().map(|one| one.port).take(MOST_PORTS).collect(),
        connected: connected.to(listening),
        from_internet: connected.publicly_to(listening),
        udp,
    }
}

/// All but those from inside at whose other end is one of a tool's own processes (`parts`).
#[cfg(any(windows, target_os = "macos", test))]
fn but_its_own(
    connections: impl Iterator<Item = Connection> + Clone,
    parts: impl Fn(u32) -> bool,
) -> Connected {
    let ends: HashSet<(IpAddr, u16)> =
        connections.clone().filter(|one| parts(one.pid)).map(|one| one.own).collect();
    let mut connected = Connected::default();
    for Connection { own, peer, .. } in connections {
        if !is_inside(own.0, peer.0) || !ends.contains(&peer) {
            connected.add(own.1, own.0, peer.0);
        }
    }
    connected
}

/// An address of the internet's: neither of a private network (RFC 1918), nor of a link (RFC 3927), nor one that providers
/// and overlays share out (RFC 6598). IPv6 does not tell: the next room has such an address, too.
pub(super) fn is_public(address: IpAddr) -> bool {
    let IpAddr::V4(v4) = address.to_canonical() else { return false };
    let [a, b, ..] = v4.octets();
    let shared = a == 100 && b & 0xc0 == 0x40;
    !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared)
}

fn is_inside(own: IpAddr, peer: IpAddr) -> bool {
    peer.is_loopback() || peer == own
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
    const LAN: [u8; 4] = [10, 0, 0, 10];
    const FAR: [u8; 4] = [203, 0, 113, 9];

    /// Whether a tool (processes 7 and 8) that listens on port 7070 has somebody connected, where `client` is at the
    /// other end and the system lists both ends.
    fn connected(inside: bool, own: [u8; 4], peer: [u8; 4], client: u32) -> bool {
        let (own, peer) = ((own.into(), 7070), (peer.into(), 50_001));
        let mut all = vec![Connection { pid: 7, own, peer }];
        if own.0 == peer.0 {
            all.push(Connection { pid: client, own: peer, peer: own });
        }
        let connected = but_its_own(all.into_iter(), |pid| [7, 8].contains(&pid));
        connected.to(&[Listens { port: 7070, inside }])
    }

    #[test]
    fn whoever_comes_from_another_machine_is_somebody() {
        assert!(connected(false, LAN, FAR, 0));
    }

    #[test]
    fn a_tools_own_window_is_nobody_and_the_end_of_a_tunnel_is_somebody() {
        let sshd = 99;
        assert!(!connected(true, LOOPBACK, LOOPBACK, 8), "its own window");
        assert!(connected(true, LOOPBACK, LOOPBACK, sshd), "through a tunnel");
        assert!(!connected(false, LOOPBACK, LOOPBACK, sshd), "it waits for others, and this is none");
        assert!(!connected(false, LAN, LAN, 8), "by the laptop's own address");
    }

    #[test]
    fn whoever_comes_from_the_internet_is_told_from_the_next_room() {
        for (peer, public) in [
            ("203.0.113.9", true),
            ("::ffff:203.0.113.9", true),
            ("100.20.0.1", true),
            ("192.168.1.20", false),
            ("172.31.0.4", false),
            ("169.254.7.7", false),
            ("100.101.102.103", false),
            ("127.0.0.1", false),
            ("fe80::1", false),
            ("2001:db8::7", false),
        ] {
            let mut connected = Connected::default();
            connected.add(22, LAN.into(), peer.parse().unwrap());
            assert_eq!(connected.publicly_to(&[Listens { port: 22, inside: false }]), public, "{peer}");
            assert!(!connected.publicly_to(&[Listens { port: 80, inside: false }]));
        }
    }

    #[test]
    fn a_hundred_thousand_connections_are_looked_through_in_a_moment() {
        let one = |n: u32| Connection {
            pid: n % 9,
            own: (LOOPBACK.into(), (n % 60_000) as u16),
            peer: (LOOPBACK.into(), (n % 59_999) as u16),
        };
        let start = std::time::Instant::now();
        let connected = but_its_own((0..100_000).map(one), |pid| pid == 7);
        assert!(connected.to(&[Listens { port: 1, inside: true }]));
        assert!(start.elapsed() < std::time::Duration::from_secs(3), "{:?}", start.elapsed());
    }
}
