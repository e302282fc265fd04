//! Changes by event: the kernel's own messages (netlink) about devices that come, go and change, and about
//! routes.

use std::io;
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use super::Wake;

/// The multicast group on which the kernel speaks of devices (2 is udev's).
const KERNEL: u32 = 1;
/// `RTMGRP_LINK`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_ROUTE`: interfaces and routes that come and go.
const ROUTES: u32 = 0x1 | 0x40 | 0x400;
/// Most messages that are taken in one go: more than the socket holds.
const MOST_AT_ONCE: u32 = 2000;
/// Largest message (`UEVENT_BUFFER_SIZE` and the head).
const LARGEST: usize = 4096;
/// From a message that matters until the next are taken: what is plugged in comes with a dozen of them, and a
/// device that is plugged in without end must not keep the listener busy.
const GATHER: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// The listener does little: a small stack does.
const STACK: usize = 64 << 10;

/// How long a sensor of devices waits between looks: events come at once, the look is for what they miss.
pub fn period(listens: bool) -> Duration {
    Duration::from_secs(if listens { 120 } else { 10 })
}

/// A thread that wakes a sensor when what it watches comes, goes or changes. Ends when dropped.
#[derive(Debug)]
pub struct Listener {
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens for devices of these subsystems. `None` where the system does not let us, and looking now and
    /// then must do.
    pub fn devices(subsystems: &'static [&'static str], wake: Wake) -> Option<Self> {
        Self::start(Some(KOBJECT_UEVENT), KERNEL, wake, move |message| concerns(message, subsystems))
            .inspect_err(
                |error| tracing::info!(%error, ?subsystems, "no hot-plug events; looking every 10 s"),
            )
            .ok()
    }

    /// Listens for interfaces and routes. `None` likewise.
    pub fn routes(wake: Wake) -> Option<Self> {
        Self::start(None, ROUTES, wake, |_| true)
            .inspect_err(|error| tracing::info!(%error, "no route events; looking every 2 s"))
            .ok()
    }

    /// No protocol means `NETLINK_ROUTE`, whose number is 0.
    fn start(
        protocol: Option<Protocol>,
        groups: u32,
        wake: Wake,
        ours: impl Fn(&[u8]) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        bind(&kernel, &SocketAddrNetlink::new(0, groups))?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let stopped = stop.try_clone()?;
        let thread = std::thread::Builder::new()
            .name("events".into())
            .stack_size(STACK)
            .spawn(move || listen(&kernel, &stopped, &wake, &ours))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // An eventfd takes eight bytes unless it is full, and then it wakes as well.
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(kernel: &OwnedFd, stop: &OwnedFd, wake: &Wake, ours: &impl Fn(&[u8]) -> bool) {
    loop {
        let mut ready = [PollFd::new(stop, PollFlags::IN), PollFd::new(kernel, PollFlags::IN)];
        match poll(&mut ready, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return,
        }
        if !ready[0].revents().is_empty() {
            return;
        }
        let Some(wanted) = drain(kernel, ours) else { return };
        if wanted && !wake.up() {
            return;
        }
        let mut stopped = [PollFd::new(stop, PollFlags::IN)];
        if poll(&mut stopped, Some(&GATHER)).is_ok_and(|ready| ready > 0) {
            return;
        }
    }
}

/// Takes what has arrived. Answers whether any of it is ours; `None` if the socket is of no use any more.
fn drain(kernel: &OwnedFd, ours: &impl Fn(&[u8]) -> bool) -> Option<bool> {
    let mut message = [0u8; LARGEST];
    let mut wanted = false;
    for _ in 0..MOST_AT_ONCE {
        match recv(kernel, &mut message, RecvFlags::DONTWAIT) {
            // The rest is taken, and not read.
            Ok((length, _)) => wanted = wanted || ours(&message[..length]),
            Err(rustix::io::Errno::AGAIN) => break,
            Err(rustix::io::Errno::INTR) => {}
            // Messages were lost in a storm: look, as one of them may have been ours.
            Err(rustix::io::Errno::NOBUFS) => wanted = true,
            Err(_) => return None,
        }
    }
    Some(wanted)
}

/// Whether a uevent is about one of these subsystems: `add@/devices/…␀ACTION=add␀SUBSYSTEM=usb␀…`.
fn concerns(message: &[u8], subsystems: &[&str]) -> bool {
    let subsystem = message.split(|b| *b == 0).find_map(|field| field.strip_prefix(b"SUBSYSTEM="));
    subsystem.is_some_and(|name| subsystems.iter().any(|ours| ours.as_bytes() == name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn messages_of_any_kind_wake_for_their_own_subsystem_alone(
            before in prop::collection::vec(any::<u8>(), 0..200), after in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..420,
        ) {
            // What stands before must not name another subsystem itself: the kernel names one.
            prop_assume!(!before.windows(10).any(|part| part == b"SUBSYSTEM="));
            let message = [&before[..], b"\0SUBSYSTEM=usb\0", &after].concat();
            prop_assert!(concerns(&message, &["drm", "usb"]) && !concerns(&message, &["drm"]));
            let _ = concerns(&message[..cut.min(message.len())], &["usb"]);
        }
    }

    #[test]
    fn only_messages_of_the_asked_subsystem_wake() {
        let usb =
            b"add@/devices/pci0000:00/usb1/1-4\0ACTION=add\0DEVPATH=/devices/1-4\0SUBSYSTEM=usb\0SEQNUM=7\0";
        assert!(concerns(usb, &["drm", "usb"]));
        assert!(!concerns(usb, &["drm", "us"]));
        assert!(!concerns(b"", &["usb"]));
        assert!(!concerns(b"libudev\0\xfe\xed\xca\xfe", &["usb"]));
    }

    #[test]
    fn a_listener_ends_when_it_is_dropped() {
        let (wake, _) = Wake::for_test();
        if let Some(listener) = Listener::devices(&["usb"], wake) {
            drop(listener); // joins its thread: a listener that does not end hangs this test
        }
    }
}
