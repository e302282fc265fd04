//! Starts of programs, as the kernel's proc connector tells them (Documentation/driver-api/connector.rst).
//!
//! Needs CAP_NET_ADMIN in the machine's own namespaces. A socket filter lets the kernel drop all but new programs
//! and new processes before it wakes anybody, and in a storm everything.

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
const FORK: u32 = 1;
const EXEC: u32 = 2;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// Where the kind of event stands: behind the netlink header (16 bytes) and the connector's (20).
const WHAT: usize = 36;
/// Where the event's own data stands: behind the kind, the processor and the time.
const DATA: usize = WHAT + 16;
/// Room for events that wait: some hundreds.
const BUFFER: usize = 512 << 10;
/// More messages than that buffer can hold.
const MOST_WAITING: u32 = 10_000;
/// Longest wait for the kernel's answer.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// A socket on which the kernel tells of programs that start.
pub(super) struct Starts(OwnedFd);

/// What there is to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// A process became another program.
    Start(u32),
    /// A process made another that runs the same program.
    Fork { parent: u32, child: u32 },
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
        starts.mute(false);
        Ok(starts)
    }

    /// Lets the kernel drop everything, or no longer. What waited until now is dropped by muting as well.
    pub(super) fn mute(&self, mute: bool) {
        // An unfiltered socket works, too, at a price.
        let _ = if mute { filter::nothing(self.0.as_fd()) } else { filter::starts(self.0.as_fd()) };
        let mut waiting = if mute { MOST_WAITING } else { 0 };
        while waiting > 0 && self.hear() != Heard::Silence {
            waiting -= 1;
        }
    }

    /// What there is to hear now; never blocks.
    pub(super) fn hear(&self) -> Heard {
        let mut message = [0; 256];
        loop {
            match rustix::net::recv(&self.0, &mut message, RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    let message = message.get(..length).unwrap_or_default();
                    match (word(message, WHAT), word(message, DATA + 4), word(message, DATA + 12)) {
                        (Some(EXEC), Some(pid), _) => return Heard::Start(pid),
                        (Some(FORK), Some(parent), Some(child)) => return Heard::Fork { parent, child },
                        _ => {}
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

    use super::{DATA, EXEC, FORK, WHAT, io};

    const LOAD_WORD: u16 = 0x20;
    const KEEP_AS_X: u16 = 0x07;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_EQUAL_X: u16 = 0x1d;
    const RETURN: u16 = 0x06;

    /// Makes the kernel drop every message of a connector's socket but programs and processes that are new.
    /// Threads are told as processes whose own id is not their group's.
    ///
    /// Classic BPF. A load turns the word from network order, in which the kernel's own words do not stand, so the
    /// comparands are turned as well.
    pub(super) fn starts(socket: BorrowedFd<'_>) -> io::Result<()> {
        #[allow(clippy::cast_possible_truncation, reason = "36 and 52")]
        let (what, data) = (WHAT as u32, DATA as u32);
        attach(
            socket,
            &mut [
                step(LOAD_WORD, 0, 0, what),
                step(JUMP_IF_EQUAL, 5, 0, EXEC.to_be()),
                step(JUMP_IF_EQUAL, 0, 5, FORK.to_be()),
                step(LOAD_WORD, 0, 0, data + 8), // the child's id
                step(KEEP_AS_X, 0, 0, 0),
                step(LOAD_WORD, 0, 0, data + 12), // its group's
                step(JUMP_IF_EQUAL_X, 0, 1, 0),
                step(RETURN, 0, 0, u32::MAX),
                step(RETURN, 0, 0, 0),
            ],
        )
    }

    /// Makes the kernel drop every message.
    pub(super) fn nothing(socket: BorrowedFd<'_>) -> io::Result<()> {
        attach(socket, &mut [step(RETURN, 0, 0, 0)])
    }

    fn step(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code, jt, jf, k }
    }

    fn attach(socket: BorrowedFd<'_>, program: &mut [libc::sock_filter]) -> io::Result<()> {
        #[allow(clippy::cast_possible_truncation, reason = "a few steps, 16 bytes")]
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
