//! Starts of programs, as the kernel's proc connector tells them (Documentation/driver-api/connector.rst).
//!
//! Needs CAP_NET_ADMIN in the machine's own namespaces. A socket filter lets the kernel drop all but `exec`
//! before it wakes anybody, so a storm of forks costs nothing here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// `CN_IDX_PROC` and `CN_VAL_PROC`.
const CHANNEL: u32 = 1;
const LISTEN: u32 = 1;
const IGNORE: u32 = 2;
/// `PROC_EVENT_NONE`: the answer to [`LISTEN`].
const ANSWER: u32 = 0;
const EXEC: u32 = 2;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// Where the kind of event stands: behind the netlink header (16 bytes) and the connector's (20).
const WHAT: usize = 36;
/// Where the event's own data stands: behind the kind, the processor and the time.
const DATA: usize = WHAT + 16;
/// Room for events that wait: some hundreds.
const BUFFER: usize = 512 << 10;
/// Longest wait for the kernel's answer.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// A socket on which the kernel tells of programs that start.
pub(super) struct Starts(OwnedFd);

/// What there is to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A process became another program.
    Start(u32),
    /// There were more than the socket has room for: some are lost.
    Overflow,
    /// Nothing more for now.
    Silence,
}

impl Starts {
    /// Begins to listen. The error says why that cannot be.
    pub(super) fn listen() -> Result<Self, String> {
        let refused = |error: Errno| match error {
            Errno::PERM | Errno::ACCESS => "the agent lacks CAP_NET_ADMIN".to_owned(),
            Errno::PROTONOSUPPORT => "the kernel has no proc connector here".to_owned(),
            other => format!("the proc connector fails: {other}"),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            flags,
            Some(netlink::CONNECTOR),
        );
        let socket = socket.map_err(refused)?;
        // Without the right to more, what the system gives has to do.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER);
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, CHANNEL)).map_err(refused)?;
        send(&socket, LISTEN).map_err(refused)?;
        await_answer(&socket).map_err(refused)?;
        let starts = Self(socket);
        // An unfiltered socket works, too, at a price.
        let _ = filter::only(starts.0.as_fd(), EXEC);
        Ok(starts)
    }

    /// What there is to hear now; never blocks.
    pub(super) fn hear(&self) -> Heard {
        let mut message = [0; 256];
        loop {
            match rustix::net::recv(&self.0, &mut message, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    let message = message.get(..length).unwrap_or_default();
                    if word(message, WHAT) == Some(EXEC)
                        && let Some(pid) = word(message, DATA + 4)
                    {
                        return Heard::Start(pid);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => return Heard::Overflow,
                Err(_) => return Heard::Silence,
            }
        }
    }
}

impl Drop for Starts {
    fn drop(&mut self) {
        // Older kernels go on producing events for nobody unless they are told.
        let _ = send(&self.0, IGNORE);
    }
}

impl AsFd for Starts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn send(socket: &OwnedFd, operation: u32) -> Result<(), Errno> {
    let pid = std::process::id();
    let mut message = Vec::with_capacity(40);
    message.extend_from_slice(&40u32.to_ne_bytes());
    message.extend_from_slice(&DONE.to_ne_bytes());
    message.extend_from_slice(&0u16.to_ne_bytes());
    [0, pid, CHANNEL, CHANNEL, 0, 0].iter().for_each(|word| message.extend_from_slice(&word.to_ne_bytes()));
    message.extend_from_slice(&4u16.to_ne_bytes());
    message.extend_from_slice(&0u16.to_ne_bytes());
    message.extend_from_slice(&operation.to_ne_bytes());
    rustix::net::send(socket, &message, SendFlags::empty()).map(drop)
}

/// The kernel answers only where it will tell: not in a container's namespaces.
fn await_answer(socket: &OwnedFd) -> Result<(), Errno> {
    // Events of others may come before it.
    for _ in 0..10_000 {
        let mut fds = [PollFd::new(socket, PollFlags::IN)];
        if poll(&mut fds, Some(&PATIENCE))? == 0 {
            return Err(Errno::PROTONOSUPPORT);
        }
        let mut message = [0; 256];
        match rustix::net::recv(socket, &mut message, RecvFlags::DONTWAIT) {
            Ok((length, _)) => {
                let message = message.get(..length).unwrap_or_default();
                if word(message, WHAT) == Some(ANSWER) {
                    let error = word(message, DATA).unwrap_or(0);
                    let error = i32::try_from(error).unwrap_or(0);
                    return if error == 0 { Ok(()) } else { Err(Errno::from_raw_os_error(error)) };
                }
            }
            Err(Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::PROTONOSUPPORT)
}

fn word(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[allow(unsafe_code, reason = "no safe interface to SO_ATTACH_FILTER exists in the crates we have")]
mod filter {
    use std::os::fd::{AsRawFd as _, BorrowedFd};

    use super::{WHAT, io};

    /// Makes the kernel drop every message of a connector's socket but events of one kind.
    ///
    /// Classic BPF: load the kind, compare, keep all or nothing. The load turns the word from network order,
    /// in which the kernel's own words do not stand, so the comparand is turned as well.
    pub(super) fn only(socket: BorrowedFd<'_>, kind: u32) -> io::Result<()> {
        const LOAD_WORD: u16 = 0x20;
        const JUMP_IF_EQUAL: u16 = 0x15;
        const RETURN: u16 = 0x06;
        let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
        #[allow(clippy::cast_possible_truncation, reason = "36")]
        let mut program = [
            step(LOAD_WORD, 0, 0, WHAT as u32),
            step(JUMP_IF_EQUAL, 0, 1, kind.to_be()),
            step(RETURN, 0, 0, u32::MAX),
            step(RETURN, 0, 0, 0),
        ];
        #[allow(clippy::cast_possible_truncation, reason = "4 steps, 16 bytes")]
        let (steps, size) = (program.len() as u16, size_of::<libc::sock_fprog>() as libc::socklen_t);
        let program = libc::sock_fprog { len: steps, filter: program.as_mut_ptr() };
        // SAFETY: the socket is open for as long as it is borrowed; `program` and the steps that it points to
        // live until the call returns, which copies them; size and type are what the option takes (socket(7)).
        let outcome = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                size,
            )
        };
        if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
