//! The machine's TCP and UDP sockets, as the kernel lists them on request (sock_diag(7)).
//!
//! `/proc/net/tcp` tells the same, but walks through the whole table of connections, which on a machine with much
//! memory has a quarter of a million empty places: some milliseconds, however little is asked for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Most sockets that are taken.
const MOST: usize = 1 << 16;
/// `SOCK_DIAG_BY_FAMILY`, `NLMSG_DONE`.
const BY_FAMILY: u16 = 20;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`
const DUMP: u16 = 0x301;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// `struct nlmsghdr`; the request behind it (`struct inet_diag_req_v2`).
const HEAD: usize = 16;
const REQUEST: usize = 56;
/// `TCP_ESTABLISHED`, `TCP_CLOSE`, in which a UDP socket is that nobody connected, and `TCP_LISTEN`.
const ESTABLISHED: u8 = 1;
const CLOSE: u8 = 7;
const LISTEN: u8 = 10;
/// Where a socket's local port, address, the other end's address, and its inode stand in its `struct inet_diag_msg`.
const PORT: usize = 4;
const ADDRESS: usize = 8;
const PEER: usize = 24;
const INODE: usize = 68;

/// One socket of this machine's own network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Its own address.
    pub address: IpAddr,
    /// Its own port.
    pub port: u16,
    /// The other end's address; none where it waits for one.
    pub peer: Option<IpAddr>,
    /// By which a process's file is known to be this socket.
    pub inode: u64,
    /// It waits for whoever comes; otherwise it is a connection.
    pub listens: bool,
}

/// Sockets that wait for connections.
pub fn listening() -> io::Result<Vec<Socket>> {
    all(TCP, 1 << LISTEN)
}

/// Sockets that are connected.
pub fn connected() -> io::Result<Vec<Socket>> {
    all(TCP, 1 << ESTABLISHED)
}

/// UDP sockets that have a port and take from anybody: servers', and those of clients that never connected theirs.
pub fn waiting() -> io::Result<Vec<Socket>> {
    all(UDP, 1 << CLOSE)
}

fn all(protocol: u8, states: u32) -> io::Result<Vec<Socket>> {
    let mut sockets = Vec::new();
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        dump(family, protocol, states, &mut sockets)?;
    }
    Ok(sockets)
}

fn dump(family: AddressFamily, protocol: u8, states: u32, sockets: &mut Vec<Socket>) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(netlink::SOCK_DIAG))?;
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &request(family, protocol, states), SendFlags::empty(), &kernel)?;
    let mut buffer = vec![0; 32 << 10];
    loop {
        // The kernel has the next part ready before it hands out this one: nothing ever has to be waited for.
        let (length, _) = rustix::net::recv(&socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
        if length == 0 || !parse(buffer.get(..length).unwrap_or_default(), sockets)? {
            return Ok(());
        }
    }
}

fn request(family: AddressFamily, protocol: u8, states: u32) -> Vec<u8> {
    let length = u32::try_from(HEAD + REQUEST).unwrap_or_default();
    let mut message = Vec::with_capacity(HEAD + REQUEST);
    message.extend(length.to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(DUMP.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([u8::try_from(family.as_raw()).unwrap_or_default(), protocol, 0, 0]);
    message.extend(states.to_ne_bytes());
    message.resize(HEAD + REQUEST, 0);
    message
}

/// Takes the sockets out of one part of the answer. Answers whether there are more parts.
fn parse(mut bytes: &[u8], sockets: &mut Vec<Socket>) -> io::Result<bool> {
    while bytes.len() >= HEAD {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(message) = bytes.get(..length).and_then(|message| message.get(HEAD..)) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match u16::from_ne_bytes([bytes[4], bytes[5]]) {
            BY_FAMILY => sockets.extend(one(message)),
            DONE => return Ok(false),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }
        if sockets.len() >= MOST {
            return Ok(false);
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(true)
}

fn one(message: &[u8]) -> Option<Socket> {
    let (family, state) = (*message.first()?, *message.get(1)?);
    let port = u16::from_be_bytes(message.get(PORT..PORT + 2)?.try_into().ok()?);
    let at = |place: usize| address(family, message.get(place..place + 16)?.try_into().ok()?);
    let listens = state != ESTABLISHED;
    let (address, peer) = (at(ADDRESS)?, at(PEER)?);
    let inode = u32::from_ne_bytes(message.get(INODE..INODE + 4)?.try_into().ok()?);
    Some(Socket { address, port, peer: (!listens).then_some(peer), inode: inode.into(), listens })
}

fn address(family: u8, bytes: [u8; 16]) -> Option<IpAddr> {
    let [a, b, c, d, ..] = bytes;
    match AddressFamily::from_raw(family.into()) {
        AddressFamily::INET => Some(Ipv4Addr::new(a, b, c, d).into()),
        AddressFamily::INET6 => Some(Ipv6Addr::from(bytes).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
    use std::os::unix::fs::MetadataExt as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_and_its_connection_are_listed_with_address_port_and_inode() {
        for address in [Ipv4Addr::LOCALHOST.into(), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let server = TcpListener::bind((address, 0)).expect("loopback of both families");
            let port = server.local_addr().unwrap().port();
            let inode = {
                use std::os::fd::AsRawFd as _;
                std::fs::metadata(format!("/proc/self/fd/{}", server.as_raw_fd())).unwrap().ino()
            };
            assert!(listening().unwrap().contains(&Socket {
                address,
                port,
                peer: None,
                inode,
                listens: true
            }));
            assert!(!connected().unwrap().iter().any(|socket| socket.port == port));
            let _client = TcpStream::connect((address, port)).unwrap();
            let found = connected().unwrap();
            let here = |socket: &&Socket| (socket.address, socket.port) == (address, port);
            assert_eq!(found.iter().find(here).unwrap().peer, Some(address));
            assert!(found.iter().all(|socket| !socket.listens));
        }
    }

    #[test]
    fn a_udp_socket_waits_until_it_is_connected() {
        for address in [Ipv4Addr::LOCALHOST.into(), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let server = UdpSocket::bind((address, 0)).expect("loopback of both families");
            let port = server.local_addr().unwrap().port();
            let here = |socket: &Socket| (socket.address, socket.port) == (address, port);
            let found = waiting().expect("the kernel's module udp_diag");
            assert!(found.iter().any(|socket| here(socket) && socket.listens && socket.peer.is_none()));
            server.connect((address, 9)).unwrap();
            assert!(!waiting().unwrap().iter().any(here), "a client's");
        }
    }

    proptest! {
        #[test]
        fn junk_of_any_length_never_panics(junk in prop::collection::vec(any::<u8>(), 0..300), length in 0u32..400) {
            let mut message = length.to_ne_bytes().to_vec();
            message.extend(BY_FAMILY.to_ne_bytes());
            message.extend(junk);
            let _ = parse(&message, &mut Vec::new());
        }
    }
}
