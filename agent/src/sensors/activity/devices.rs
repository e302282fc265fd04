//! The input devices that are read: opened, told apart, and followed as they come and go.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use farmwatch_shared::facts::{Bus, HidCaps, SourceKind};
use rustix::fs::inotify;
use rustix::fs::{Mode, OFlags};

use super::count::{EVENT, Event, read};
use super::tally::Pointing;
use crate::sensors::hid_device::evdev::{self, Input};
use crate::sensors::read::{self as files, MANY};
use crate::sensors::{Config, SensorError};

/// Most devices that are read at a time.
const MOST: usize = 64;
/// Bytes read from a device at a time: 64 events.
pub const BATCH: usize = 64 * EVENT;
/// Most batches in one go: the kernel buffers no more.
const BATCHES: usize = 16;

/// One device, open.
#[derive(Debug)]
pub struct Device {
    /// `event3`.
    name: String,
    file: OwnedFd,
    /// Where its input comes from.
    pub kind: SourceKind,
    /// How it points.
    pub pointing: Pointing,
}

/// All devices that type or point.
#[derive(Debug)]
pub struct Devices {
    dir: PathBuf,
    class: PathBuf,
    live: bool,
    /// Tells that names in the folder come and go.
    changes: Option<OwnedFd>,
    /// Those that could be opened.
    pub open: Vec<Device>,
    refused: usize,
}

impl Devices {
    /// Opens all. Fails where there is nothing to open or the agent may open none.
    pub fn open(config: &Config) -> Result<Self, SensorError> {
        let mut devices = Self::none(config);
        if !devices.dir.is_dir() {
            let why = "no /dev/input: this machine has no input devices, or runs as a container without them";
            return Err(SensorError::NotSupported(why.into()));
        }
        devices.changes = watch(&devices.dir).ok();
        devices.rescan();
        devices.verdict().map(|()| devices)
    }

    /// None, and no way to get any: a machine without input devices.
    pub fn none(config: &Config) -> Self {
        Self {
            dir: config.path("dev/input"),
            class: config.path("sys/class/input"),
            live: config.is_live(),
            changes: None,
            open: Vec::new(),
            refused: 0,
        }
    }

    /// Whether any can be read.
    pub fn verdict(&self) -> Result<(), SensorError> {
        if !self.open.is_empty() {
            return Ok(());
        }
        if self.refused > 0 {
            let why =
                "may not read /dev/input/event*: run the agent as its service does, or in the group `input`";
            return Err(SensorError::NotPermitted(why.into()));
        }
        Err(SensorError::NotSupported("no keyboard or pointer is attached".into()))
    }

    /// What to wait on: devices in their order, and then the folder's changes.
    pub fn waits(&self) -> impl Iterator<Item = &OwnedFd> {
        self.open.iter().map(|device| &device.file).chain(&self.changes)
    }

    /// Takes in devices that came, after the folder changed. Those that went show when they are read.
    pub fn follow(&mut self) {
        if let Some(changes) = &self.changes {
            let mut buffer = [0u8; 4096];
            while rustix::io::read(changes, &mut buffer).is_ok_and(|length| length > 0) {}
        }
        self.rescan();
    }

    /// Opens what is not open yet.
    pub fn rescan(&mut self) {
        self.refused = 0;
        for name in files::names(&self.dir, MANY).unwrap_or_default() {
            let known = self.open.iter().any(|device| device.name == name);
            if known || !name.starts_with("event") || self.open.len() >= MOST {
                continue;
            }
            let input = evdev::input(&self.class.join(&name).join("device"));
            if !types_or_points(input.caps) {
                continue;
            }
            match open(&self.dir.join(&name), self.live) {
                Ok(file) => {
                    self.open.push(Device { name, file, kind: kind(&input), pointing: pointing(input.caps) });
                }
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => self.refused += 1,
                Err(_) => {}
            }
        }
    }
}

impl Device {
    /// Takes what has arrived since the last time; `false` if the device is gone.
    pub fn drain(&self, buffer: &mut [u8; BATCH], mut take: impl FnMut(&Self, Event)) -> bool {
        for _ in 0..BATCHES {
            match rustix::io::read(&self.file, &mut buffer[..]) {
                Ok(0) => return false,
                Ok(length) => {
                    read(&mut buffer[..length], |event| take(self, event));
                    if length < BATCH {
                        return true;
                    }
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

fn open(path: &Path, live: bool) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_char_device() && (live || !kind.is_fifo()) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn watch(dir: &Path) -> io::Result<OwnedFd> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let changes = inotify::init(flags)?;
    // ATTRIB: udev sets a new device's owner and mode after the kernel has made it.
    let events = inotify::WatchFlags::CREATE | inotify::WatchFlags::DELETE | inotify::WatchFlags::ATTRIB;
    inotify::add_watch(changes.as_fd(), dir, events)?;
    Ok(changes)
}

fn types_or_points(caps: HidCaps) -> bool {
    caps.keyboard || caps.relative || caps.absolute || caps.digitizer
}

fn kind(input: &Input) -> SourceKind {
    match input.bus {
        _ if input.built_in => SourceKind::BuiltIn,
        Bus::Usb => SourceKind::Usb,
        Bus::Bluetooth => SourceKind::Bluetooth,
        Bus::Virtual => SourceKind::Virtual,
        _ => SourceKind::Other,
    }
}

fn pointing(caps: HidCaps) -> Pointing {
    if caps.absolute { Pointing::ByPlace } else { Pointing::ByHand }
}
