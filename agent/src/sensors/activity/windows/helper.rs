//! The helper in a person's session: counts raw input, says finished windows and the desktop's monitors on its standard output, and ends when
//! its standard input does.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::io::{Read as _, Write as _};
use std::time::Instant;

use anyhow::{Context as _, bail};
use farmwatch_shared::facts::SourceKind;
use jiff::Timestamp;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::UI::Input::KeyboardAndMouse::{GetLastInputInfo, LASTINPUTINFO};
use windows_sys::Win32::UI::Input::{
    GetRawInputData, GetRawInputDeviceInfoW, HRAWINPUT, RAWINPUTDEVICE, RAWINPUTHEADER, RID_HEADER,
    RID_INPUT, RIDEV_INPUTSINK, RIDEV_REMOVE, RIDI_DEVICENAME, RegisterRawInputDevices,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DispatchMessageW, GetMessageW, HWND_MESSAGE, MSG, RegisterClassW,
    SetTimer, WM_INPUT, WM_TIMER, WNDCLASSW,
};

use super::super::count::{Event, Happened};
use super::super::from_windows::{self, DIGITIZERS, Digitizers, Raw, There};
use super::super::tally::{Pointing, Tally};
use super::Said;
use crate::sensors::devnode::Node;
use crate::sensors::hid_device;
use crate::windows::desktop::{self, Lit};
use crate::windows::{devices, text};

/// Page and usage: a mouse, a keyboard; and the page of touchpads, touch screens and pens.
const MOUSE: (u16, u16) = (1, 2);
const KEYBOARD: (u16, u16) = (1, 6);
const DIGITIZER: u16 = 0x0d;
/// The helper looks at the clock this often.
const TICK_MS: u32 = 1000;
/// And at the monitors at every so-many-eth look.
const MONITORS: u32 = 5;
/// Devices whose names are remembered.
const MOST_DEVICES: usize = 256;

/// Counts until the service ends or closes the pipe.
pub fn help() -> anyhow::Result<()> {
    std::thread::spawn(|| {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
        std::process::exit(0);
    });
    let window = window()?;
    register(window, MOUSE, RIDEV_INPUTSINK)?;
    register(window, KEYBOARD, RIDEV_INPUTSINK)?;
    for usage in DIGITIZERS {
        // Where one cannot be heard, what comes without a device stays untold.
        let _ = register(window, (DIGITIZER, usage), RIDEV_INPUTSINK);
    }
    // SAFETY: the window is ours; no function is called.
    if unsafe { SetTimer(window, 1, TICK_MS, None) } == 0 {
        bail!("no timer: {}", std::io::Error::last_os_error());
    }
    let mut counting = Counting::new(window);
    let mut message = MSG::default();
    // SAFETY: a place for the message; the loop ends when there are no more.
    while unsafe { GetMessageW(&raw mut message, std::ptr::null_mut(), 0, 0) } > 0 {
        match message.message {
            WM_INPUT => counting.input(message.lParam as HRAWINPUT),
            WM_TIMER => counting.tick()?,
            _ => {}
        }
        // SAFETY: the message was just filled.
        unsafe { DispatchMessageW(&raw const message) };
    }
    Ok(())
}

struct Counting {
    window: HANDLE,
    tally: Tally,
    watched: Timestamp,
    /// Where devices are, by their handles.
    sources: BTreeMap<u64, SourceKind>,
    digitizers: Digitizers,
    /// Who last moved the pointer, how, and whether that was certainly software without a device.
    pointer: (SourceKind, Pointing, bool),
    /// A mouse that sends 8,000 times a second is not heard in seconds that are not read in full.
    hears_pointer: bool,
    last_input: u32,
    /// How often it looked at the clock.
    ticks: u32,
    /// The desktop's monitors, as they were told.
    monitors: Option<Vec<Lit>>,
    /// Stamps of events count from here, so that a clock that is set does not move them.
    began: (Instant, Timestamp),
}

impl Counting {
    fn new(window: HANDLE) -> Self {
        let now = Timestamp::now();
        Self {
            window,
            tally: Tally::new(now),
            watched: now,
            sources: BTreeMap::new(),
            digitizers: Digitizers::new(digitizers()),
            pointer: (SourceKind::Other, Pointing::ByHand, false),
            hears_pointer: true,
            last_input: last_input(),
            ticks: 0,
            monitors: None,
            began: (Instant::now(), now),
        }
    }

    fn input(&mut self, handle: HRAWINPUT) {
        let mut buffer = [0u64; 16];
        let (now, at) = self.now();
        if let Some(device) = from_windows::toucher(raw_input(handle, RID_HEADER, &mut buffer)) {
            let kind = self.device(device);
            self.digitizers.touched(at, kind);
            return;
        }
        let Some(raw) = from_windows::event(raw_input(handle, RID_INPUT, &mut buffer)) else { return };
        let source = self.source(raw, at);
        let software = raw.device == 0 && source == SourceKind::Virtual;
        if raw.what != Happened::Key {
            self.pointer = (source, raw.pointing, software);
        }
        if software {
            self.tally.by_software(now);
        }
        let fine = self.tally.is_fine(now);
        self.tally.take(now, source, raw.pointing, Event { what: raw.what, at });
        if !fine && self.hears_pointer && raw.what != Happened::Key {
            self.hear_pointer(false);
        }
    }

    /// Each second: what the pointer did while it was not heard, the window's end, and whether to hear it again.
    fn tick(&mut self) -> anyhow::Result<()> {
        let (now, at) = self.now();
        let last = last_input();
        if !self.hears_pointer && last != self.last_input {
            let (source, pointing, software) = self.pointer;
            if software {
                self.tally.by_software(now);
            }
            self.tally.take(now, source, pointing, Event { what: Happened::Click, at });
        }
        if !self.hears_pointer {
            // The next move is not known to begin anything.
            let (source, pointing, _) = self.pointer;
            self.tally.take(now, source, pointing, Event { what: Happened::Dropped, at });
        }
        self.last_input = last;
        self.tally.watched(self.watched, now);
        self.watched = now;
        if self.tally.is_over(now) {
            let finished = std::mem::replace(&mut self.tally, Tally::new(now)).finish();
            say(&Said::Window(Box::new(finished)))?;
            self.digitizers.there = digitizers();
        }
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks % MONITORS == 1 {
            let monitors = desktop::lit();
            if let Some(lit) = monitors.as_ref().filter(|_| monitors != self.monitors) {
                say(&Said::Monitors(lit.clone()))?;
            }
            self.monitors = monitors;
        }
        self.hear_pointer(true);
        Ok(())
    }

    fn hear_pointer(&mut self, hear: bool) {
        if self.hears_pointer == hear {
            return;
        }
        let (window, flags) =
            if hear { (self.window, RIDEV_INPUTSINK) } else { (std::ptr::null_mut(), RIDEV_REMOVE) };
        if register(window, MOUSE, flags).is_ok() {
            self.hears_pointer = hear;
        }
    }

    fn source(&mut self, raw: Raw, at: i64) -> SourceKind {
        match raw.device {
            0 => self.digitizers.without_device(raw.what, raw.pointing, at),
            device => self.device(device),
        }
    }

    fn device(&mut self, device: u64) -> SourceKind {
        if let Some(known) = self.sources.get(&device) {
            return *known;
        }
        if self.sources.len() >= MOST_DEVICES {
            self.sources.clear();
        }
        let name = name(usize::try_from(device).unwrap_or(0) as HANDLE);
        let nodes = devices::instance(&name).map(|id| devices::with_those_above(&id)).unwrap_or_default();
        let source = from_windows::source(&name, hid_device::from_windows::is_built_in(&nodes));
        self.sources.insert(device, source);
        source
    }

    /// By the clock on the wall, and in microseconds by one that nobody can set.
    fn now(&self) -> (Timestamp, i64) {
        let (began, at) = self.began;
        let passed = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
        (Timestamp::now(), at.as_microsecond().saturating_add(passed))
    }
}

fn say(said: &Said) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).context("the service does not listen any more")
}

/// When the session last had any input, by the system's tick.
fn last_input() -> u32 {
    let mut info =
        LASTINPUTINFO { cbSize: u32::try_from(size_of::<LASTINPUTINFO>()).unwrap_or(0), dwTime: 0 };
    // SAFETY: the structure says how long it is.
    unsafe { GetLastInputInfo(&raw mut info) };
    info.dwTime
}

/// What of a message is asked for: all of it, or its header alone. Empty where there is none.
fn raw_input(handle: HRAWINPUT, what: u32, buffer: &mut [u64; 16]) -> &mut [u8] {
    let mut length = u32::try_from(size_of_val(buffer)).unwrap_or(0);
    let header = u32::try_from(size_of::<RAWINPUTHEADER>()).unwrap_or(0);
    // SAFETY: the handle is the message's; the buffer has the length that is told and is aligned.
    let written = unsafe {
        GetRawInputData(handle, what, buffer.as_mut_ptr().cast::<c_void>(), &raw mut length, header)
    };
    // SAFETY: any eight bytes of a `u64` are bytes; the slice ends where the buffer does.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<u8>(), 128) };
    bytes.get_mut(..written as usize).unwrap_or_default()
}

/// Touchpads, touch screens and pens that are present.
fn digitizers() -> There {
    let nodes = devices::present(&["HID"]).unwrap_or_default();
    There::of(nodes.iter().filter_map(Node::usage))
}

fn name(device: HANDLE) -> String {
    let mut buffer = [0u16; 512];
    let mut length = 512;
    // SAFETY: the buffer has the length that is told, in units.
    unsafe {
        GetRawInputDeviceInfoW(
            device,
            RIDI_DEVICENAME,
            buffer.as_mut_ptr().cast::<c_void>(),
            &raw mut length,
        );
    }
    text::of_buffer(&buffer)
}

fn register(window: HANDLE, (page, usage): (u16, u16), flags: u32) -> anyhow::Result<()> {
    let device = RAWINPUTDEVICE { usUsagePage: page, usUsage: usage, dwFlags: flags, hwndTarget: window };
    let size = u32::try_from(size_of::<RAWINPUTDEVICE>()).unwrap_or(0);
    // SAFETY: one structure of the length that is told.
    if unsafe { RegisterRawInputDevices(&raw const device, 1, size) } == 0 {
        bail!("raw input cannot be had: {}", std::io::Error::last_os_error());
    }
    Ok(())
}

/// A window that only takes messages.
fn window() -> anyhow::Result<HANDLE> {
    let name = text::wide("FarmwatchInput");
    let class =
        WNDCLASSW { lpfnWndProc: Some(DefWindowProcW), lpszClassName: name.as_ptr(), ..WNDCLASSW::default() };
    // SAFETY: the class's name lives until the window is made; its function is the system's own.
    let window = unsafe {
        RegisterClassW(&raw const class);
        CreateWindowExW(
            0,
            name.as_ptr(),
            name.as_ptr(),
            0,
            0,
            0,
            0,
            0,
            HWND_MESSAGE,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null(),
        )
    };
    if window.is_null() {
        bail!("no window for messages: {}", std::io::Error::last_os_error());
    }
    Ok(window)
}
