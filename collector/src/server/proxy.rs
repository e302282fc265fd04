//! Balancers in front: whose a connection is.
//!
//! TLS goes through to the collector, so nobody in between can write HTTP headers, and none that say where a request
//! comes from (`X-Forwarded-For`, `Forwarded`) are ever read. A balancer says it before the first byte of TLS, by the
//! PROXY protocol, and only those that are configured are believed: from anybody else such a header is no TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use ppp::{HeaderResult, v1, v2};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::correlate::known::network;

/// Longest header of version 1, by its specification.
const LONGEST_V1: usize = 107;
/// Bytes of version 2 before what its length counts.
const HEAD_V2: usize = 16;
/// Longest rest of version 2 that is read: addresses, and what else balancers add.
const LONGEST_V2: u16 = 4096;

/// Balancers that are believed.
#[derive(Clone, Default)]
pub struct Proxies(Vec<IpNet>);

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The other end, as far as is known.
    pub address: SocketAddr,
    /// A balancer says so.
    pub proxied: bool,
}

impl Proxies {
    /// As configured; what is no network was refused before.
    pub fn new(texts: &[String]) -> Self {
        Self(texts.iter().filter_map(|text| network(text)).collect())
    }

    /// Whose a connection from this address is. A balancer's own (it looks whether the collector lives) is its own.
    pub async fn origin(&self, stream: &mut TcpStream, peer: SocketAddr) -> io::Result<Origin> {
        let own = Origin { address: peer, proxied: false };
        if !self.0.iter().any(|proxy| proxy.contains(&peer.ip())) {
            return Ok(own);
        }
        let header = read(stream).await?;
        Ok(said(&header)?.map_or(own, |address| Origin { address, proxied: true }))
    }
}

/// Reads a header and nothing of what follows it.
async fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = vec![0; v2::PROTOCOL_PREFIX.len()];
    stream.read_exact(&mut header).await?;
    if header != v2::PROTOCOL_PREFIX {
        while !header.ends_with(b"\n") && header.len() < LONGEST_V1 && header.starts_with(b"PROXY") {
            header.push(stream.read_u8().await?);
        }
        return Ok(header);
    }
    header.resize(HEAD_V2, 0);
    stream.read_exact(&mut header[v2::PROTOCOL_PREFIX.len()..]).await?;
    let length = u16::from_be_bytes([header[HEAD_V2 - 2], header[HEAD_V2 - 1]]);
    if length > LONGEST_V2 {
        return Err(wrong(format!("it says that it has {length} bytes")));
    }
    header.resize(HEAD_V2 + usize::from(length), 0);
    stream.read_exact(&mut header[HEAD_V2..]).await?;
    Ok(header)
}

/// The address that a header says; none where it is the balancer's own connection, or of no kind that has one.
fn said(header: &[u8]) -> io::Result<Option<SocketAddr>> {
    let address: Option<(IpAddr, u16)> = match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => match header.addresses {
            v1::Addresses::Tcp4(pair) => Some((pair.source_address.into(), pair.source_port)),
            v1::Addresses::Tcp6(pair) => Some((pair.source_address.into(), pair.source_port)),
            v1::Addresses::Unknown => None,
        },
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Proxy => match header.addresses {
            v2::Addresses::IPv4(pair) => Some((pair.source_address.into(), pair.source_port)),
            v2::Addresses::IPv6(pair) => Some((pair.source_address.into(), pair.source_port)),
            v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
        },
        HeaderResult::V2(Ok(_)) => None,
        HeaderResult::V1(Err(error)) => return Err(wrong(error)),
        HeaderResult::V2(Err(error)) => return Err(wrong(error)),
    };
    Ok(address.map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port)))
}

fn wrong(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a PROXY protocol header: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_versions_and_a_balancers_own_look_are_read() {
        let of = |header: &[u8]| said(header).unwrap();
        let v4 = "203.0.113.7:40000".parse().ok();
        assert_eq!(of(b"PROXY TCP4 203.0.113.7 192.0.2.1 40000 8443\r\n"), v4);
        assert_eq!(of(b"PROXY TCP6 2001:db8::7 2001:db8::1 1 8443\r\n"), "[2001:db8::7]:1".parse().ok());
        assert_eq!(of(b"PROXY UNKNOWN\r\n"), None);
        let mut binary = v2::PROTOCOL_PREFIX.to_vec();
        binary.extend([0x21, 0x11, 0, 12, 203, 0, 113, 7, 192, 0, 2, 1, 0x9c, 0x40, 0x20, 0xfb]);
        assert_eq!(of(&binary), v4);
        let mut local = v2::PROTOCOL_PREFIX.to_vec();
        local.extend([0x20, 0, 0, 0]);
        assert_eq!(of(&local), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(header in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = said(&header);
            let _ = said(&[v2::PROTOCOL_PREFIX, &header].concat());
            let _ = said(&[b"PROXY TCP4 ", header.as_slice()].concat());
        }
    }
}
