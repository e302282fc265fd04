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
    GetRawInputData, GetRawInputDeviceInfoW, HRAWINPUT, RAWINPUTDEVICE, RAWINPUTHEADER, RID_INPUT,
    RIDEV_INPUTSINK, RIDEV_REMOVE, RIDI_DEVICENAME, RegisterRawInputDevices,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DefWindowProcW, DispatchMessageW, GetMessageW, HWND_MESSAGE, MSG, RegisterClassW,
    SetTimer, WM_INPUT, WM_TIMER, WNDCLASSW,
};

use super::super::count::{Event, Happened};
use super::super::from_windows::{self, Raw};
use super::super::tally::{Pointing, Tally};
use super::Said;
use crate::sensors::devnode::Node;
use crate::windows::desktop::{self, Lit};
use crate::windows::{devices, text};

/// Usages of page 1: a mouse, a keyboard.
const MOUSE: u16 = 2;
const KEYBOARD: u16 = 6;
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
    has_touchpad: bool,
    /// Who last moved the pointer.
    pointer: (SourceKind, Pointing),
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
            has_touchpad: has_touchpad(),
            pointer: (SourceKind::Other, Pointing::ByHand),
            hears_pointer: true,
            last_input: last_input(),
            ticks: 0,
            monitors: None,
            began: (Instant::now(), now),
        }
    }

    fn input(&mut self, handle: HRAWINPUT) {
        let mut buffer = [0u64; 16];
        let mut length = u32::try_from(size_of_val(&buffer)).unwrap_or(0);
        let header = u32::try_from(size_of::<RAWINPUTHEADER>()).unwrap_or(0);
        // SAFETY: the handle is the message's; the buffer has the length that is told and is aligned.
        let written = unsafe {
            GetRawInputData(handle, RID_INPUT, buffer.as_mut_ptr().cast::<c_void>(), &raw mut length, header)
        };
        // SAFETY: any eight bytes of a `u64` are bytes; the slice ends before the buffer does.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<u8>(), 128) };
        let Some(raw) = from_windows::event(&mut bytes[..written.min(128) as usize]) else { return };
        let source = self.source(raw);
        if raw.what != Happened::Key {
            self.pointer = (source, raw.pointing);
        }
        let (now, at) = self.now();
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
            let (source, pointing) = self.pointer;
            self.tally.take(now, source, pointing, Event { what: Happened::Click, at });
        }
        self.last_input = last;
        self.tally.watched(self.watched, now);
        self.watched = now;
        if self.tally.is_over(now) {
            let finished = std::mem::replace(&mut self.tally, Tally::new(now)).finish();
            say(&Said::Window(Box::new(finished)))?;
            self.has_touchpad = has_touchpad();
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

    fn source(&mut self, raw: Raw) -> SourceKind {
        if raw.device == 0 {
            return from_windows::without_device(raw.what, self.has_touchpad);
        }
        if let Some(known) = self.sources.get(&raw.device) {
            return *known;
        }
        if self.sources.len() >= MOST_DEVICES {
            self.sources.clear();
        }
        let source = from_windows::source(&name(usize::try_from(raw.device).unwrap_or(0) as HANDLE));
        self.sources.insert(raw.device, source);
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

/// A touchpad of the laptop's own (usage 5 of page 0x0d).
fn has_touchpad() -> bool {
    let nodes = devices::present(&["HID"]).unwrap_or_default();
    nodes.iter().filter_map(Node::usage).any(|usage| usage == (0x0d, 5))
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

fn register(window: HANDLE, usage: u16, flags: u32) -> anyhow::Result<()> {
    let device = RAWINPUTDEVICE { usUsagePage: 1, usUsage: usage, dwFlags: flags, hwndTarget: window };
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
