//! Changes by event: the system's notifications (`notify(3)`) of power sources and networks, IOKit's of devices.
//! Screens are looked at now and then: on Apple silicon their frame buffers neither come nor go.

#![allow(
    unsafe_code,
    reason = "calls notify(3), which has no safe wrapper here; each call says why it is sound"
)]

use std::ffi::{CStr, c_char, c_int};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use super::Wake;
use crate::apple::arrivals::Arrivals;

/// The active power source changed (`kIOPSNotifyPowerSource` of IOPowerSources.h).
const POWER: &CStr = c"com.apple.system.powersources.source";
/// The network's configuration changed (`kNotifySCNetworkChange` of notify_keys.h).
const NETWORK: &CStr = c"com.apple.system.config.network_change";
/// `NOTIFY_STATUS_OK`.
const OK: u32 = 0;

unsafe extern "C" {
    fn notify_register_file_descriptor(
        name: *const c_char,
        descriptor: *mut c_int,
        flags: c_int,
        token: *mut c_int,
    ) -> u32;
    fn notify_cancel(token: c_int) -> u32;
}

/// How long a sensor of devices waits between looks, each some calls to the kernel.
pub fn period(listens: bool) -> Duration {
    Duration::from_secs(if listens { 120 } else { 30 })
}

/// Classes of the registry that hold what is on USB, and what can be typed or pointed with. A device on USB comes
/// before its functions do.
const USB: [&CStr; 2] = [c"IOUSBHostDevice", c"IOUSBHostInterface"];
const HID: [&CStr; 1] = [c"IOHIDInterface"];

/// Wakes a sensor when what it watches changes. Ends when dropped.
#[derive(Debug)]
#[allow(dead_code, reason = "both are kept to be dropped")]
pub enum Listener {
    /// To the registry.
    Devices(Arrivals),
    /// To a notification.
    Notice(Notice),
}

/// A thread that waits for a notification.
#[derive(Debug)]
pub struct Notice {
    stop: UnixStream,
    token: c_int,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens for devices of Linux' subsystems; `None` where there are no events, and looking now and then must do.
    pub fn devices(subsystems: &'static [&'static str], wake: Wake) -> Option<Self> {
        let mut classes: Vec<&CStr> =
            subsystems.iter().flat_map(|subsystem| classes(subsystem)).copied().collect();
        classes.sort_unstable();
        classes.dedup();
        if subsystems.contains(&"power_supply") {
            Notice::start(POWER, wake).map(Self::Notice)
        } else if classes.is_empty() {
            None
        } else {
            Arrivals::of(&classes, wake).map(Self::Devices)
        }
    }

    /// Listens for interfaces and routes.
    pub fn routes(wake: Wake) -> Option<Self> {
        Notice::start(NETWORK, wake).map(Self::Notice)
    }
}

fn classes(subsystem: &str) -> &'static [&'static CStr] {
    match subsystem {
        "usb" => &USB,
        "hid" | "input" => &HID,
        _ => &[],
    }
}

impl Notice {
    fn start(name: &CStr, wake: Wake) -> Option<Self> {
        let (stop, stopped) = UnixStream::pair().ok()?;
        let (mut descriptor, mut token) = (-1, -1);
        // SAFETY: the name ends with a zero and both results are ours.
        let status =
            unsafe { notify_register_file_descriptor(name.as_ptr(), &raw mut descriptor, 0, &raw mut token) };
        if status != OK {
            tracing::info!(status, ?name, "no events; looking now and then");
            return None;
        }
        let listen = move || listen(descriptor, &stopped, &wake);
        let Ok(thread) = std::thread::Builder::new().name("events".into()).spawn(listen) else {
            // SAFETY: registered above, cancelled once.
            unsafe { notify_cancel(token) };
            return None;
        };
        Some(Self { stop, token, thread: Some(thread) })
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        // A byte in an empty socket: there is room for it.
        let _ = self.stop.write_all(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // SAFETY: registered when this was made, cancelled once, after the thread that reads it has ended.
        unsafe { notify_cancel(self.token) };
    }
}

fn listen(descriptor: c_int, stopped: &UnixStream, wake: &Wake) {
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    loop {
        let mut waits = [entry(descriptor), entry(stopped.as_raw_fd())];
        // SAFETY: the array has the two entries that are told.
        let ready = unsafe { libc::poll(waits.as_mut_ptr(), 2, -1) };
        let interrupted = std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted;
        if ready < 0 && interrupted {
            continue;
        }
        if ready < 0 || waits[1].revents != 0 {
            return;
        }
        // Each change is a token of four bytes; how many there are does not matter.
        let mut tokens = [0u8; 256];
        // SAFETY: the buffer has as many bytes as is told.
        let read = unsafe { libc::read(descriptor, tokens.as_mut_ptr().cast(), tokens.len()) };
        if read <= 0 {
            return;
        }
        if !wake.up() {
            return;
        }
    }
}
