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
                    if let Some(heard) = parse(message.get(..length).unwrap_or_default()) {
                        return heard;
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
                if let Some(answer) = answer(message.get(..length).unwrap_or_default()) {
                    return answer;
                }
            }
            Err(Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::PROTONOSUPPORT)
}

/// A message's news; `None` for the ends of processes, changes of their owners and whatever else is told.
fn parse(message: &[u8]) -> Option<Heard> {
    match (word(message, WHAT)?, word(message, DATA + 4), word(message, DATA + 12)) {
        (EXEC, Some(pid), _) => Some(Heard::Start(pid)),
        (FORK, Some(parent), Some(child)) => Some(Heard::Fork { parent, child }),
        _ => None,
    }
}

/// Whether the kernel will tell; `None` for another message.
fn answer(message: &[u8]) -> Option<Result<(), Errno>> {
    if word(message, WHAT)? != ANSWER {
        return None;
    }
    // Numbers of errors are below 4096.
    let error = word(message, DATA).unwrap_or(0);
    let error = i32::try_from(error).ok().filter(|error| (1..4096).contains(error));
    Some(error.map_or(Ok(()), |error| Err(Errno::from_raw_os_error(error))))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Linux 6.1 sends it: netlink's head, the connector's, kind, processor, time, then the event's own words.
    fn message(what: u32, data: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(76u32.to_ne_bytes());
        bytes.extend(DONE.to_ne_bytes());
        bytes.extend([0; 10]);
        [CHANNEL, CHANNEL, 7, 0].iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes.extend([40, 0, 0, 0]);
        [what, 1, 0xdead_beef, 0].iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        data.iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes.resize(76, 0);
        bytes
    }

    #[test]
    fn programs_and_processes_that_are_new_are_told_and_all_else_is_not() {
        let (exec, fork, exit) = (EXEC, FORK, 0x8000_0000);
        assert_eq!(parse(&message(exec, &[4711, 4710])), Some(Heard::Start(4710)), "of a thread its process");
        let forked = Heard::Fork { parent: 1, child: 5 };
        assert_eq!(parse(&message(fork, &[2, 1, 6, 5])), Some(forked));
        assert_eq!(parse(&message(exit, &[4711, 4711])), None);
        assert_eq!(parse(&message(ANSWER, &[0])), None);
    }

    #[test]
    fn the_kernels_answer_is_yes_or_an_error() {
        assert_eq!(answer(&message(ANSWER, &[0])), Some(Ok(())));
        assert_eq!(answer(&message(ANSWER, &[1])), Some(Err(Errno::PERM)));
        assert_eq!(answer(&message(ANSWER, &[u32::MAX])), Some(Ok(())), "no error has this number");
        assert_eq!(answer(&message(EXEC, &[0])), None);
    }

    proptest! {
        #[test]
        fn messages_of_any_kind_and_length_tell_only_what_they_hold(
            junk in prop::collection::vec(any::<u8>(), 0..100), what in 0u32..4, data in prop::collection::vec(any::<u32>(), 0..6),
            cut in 0usize..80,
        ) {
            let _ = (parse(&junk), answer(&junk));
            let whole = message(what, &data);
            let told = parse(&whole);
            prop_assert_eq!(told.is_some(), what == EXEC || what == FORK);
            let part = parse(&whole[..cut.min(whole.len())]);
            prop_assert!(part.is_none() || part == told);
            let _ = answer(&whole);
        }
    }
}
