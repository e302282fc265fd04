//! Neighbours by listening: what ARP is broadcast on an interface. Nothing is sent.
#![allow(unsafe_code, reason = "a packet socket's address has no safe type in rustix")]

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, eth, recv, socket_with};

use super::super::mac::Mac;

/// Most frames taken in one look; a storm of ARP costs no more.
const MOST: usize = 256;

/// Hears ARP on one interface. The kernel keeps what arrives between looks, as much as a socket's buffer
/// holds, so no thread waits for it.
#[derive(Debug)]
pub struct Ear {
    socket: OwnedFd,
    /// The interface's number.
    pub index: u32,
}

impl Ear {
    /// Starts to listen. Needs `CAP_NET_RAW`.
    pub fn open(index: u32) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Without a protocol it hears nothing until it is bound to the interface, and then ARP only.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        bind(&socket, &Interface(index))?;
        Ok(Self { socket, index })
    }

    /// Who was heard since the last time.
    pub fn heard(&self) -> Vec<Mac> {
        let mut heard = Vec::new();
        let mut frame = [0u8; 64];
        for _ in 0..MOST {
            match recv(&self.socket, &mut frame, RecvFlags::DONTWAIT) {
                Ok((length, _)) => heard.extend(sender(&frame[..length.min(frame.len())])),
                Err(_) => break,
            }
        }
        heard.sort_unstable();
        heard.dedup();
        heard
    }
}

/// Who sent an ARP frame: Ethernet's head is 14 bytes, ARP's for IPv4 on Ethernet 28 (RFC 826).
fn sender(frame: &[u8]) -> Option<Mac> {
    const ARP_OVER_ETHERNET: [u8; 6] = [0x00, 0x01, 0x08, 0x00, 6, 4];
    if frame.get(12..14)? != [0x08, 0x06] || *frame.get(14..20)? != ARP_OVER_ETHERNET {
        return None;
    }
    let mac: [u8; 6] = frame.get(22..28)?.try_into().ok()?;
    Mac(mac).one_machine()
}

/// "ARP on this interface", as the kernel wants to be told.
struct Interface(u32);

/// `struct sockaddr_ll` of linux/if_packet.h.
#[repr(C)]
struct SockaddrLl {
    family: u16,
    protocol: u16,
    interface: i32,
    hardware_type: u16,
    packet_type: u8,
    address_length: u8,
    address: [u8; 8],
}

// SAFETY: `with_sockaddr` passes a pointer to a live, fully initialised `sockaddr_ll` and its true size, which
// is what `bind` expects for `AF_PACKET`; the value outlives the call.
unsafe impl SocketAddrArg for Interface {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        // The low half of the protocol is already in network order.
        let protocol = u16::try_from(eth::ARP.as_raw().get()).unwrap_or(0);
        let address = SockaddrLl {
            family: AddressFamily::PACKET.as_raw(),
            protocol,
            interface: i32::try_from(self.0).unwrap_or(0),
            hardware_type: 0,
            packet_type: 0,
            address_length: 0,
            address: [0; 8],
        };
        let size = SocketAddrLen::try_from(size_of::<SockaddrLl>()).unwrap_or(0);
        f((&raw const address).cast(), size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sender_of_an_arp_request_is_heard() {
        let mut frame = vec![0xff; 6];
        frame.extend([0xb8, 0x27, 0xeb, 1, 2, 3, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([0xb8, 0x27, 0xeb, 1, 2, 3, 192, 168, 1, 7, 0, 0, 0, 0, 0, 0, 192, 168, 1, 1]);
        assert_eq!(sender(&frame), Some(Mac([0xb8, 0x27, 0xeb, 1, 2, 3])));
        frame[13] = 0;
        assert_eq!(sender(&frame), None);
    }

    proptest! {
        #[test]
        fn frames_of_junk_name_nobody_and_never_panic(frame in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = sender(&frame);
        }
    }
}
