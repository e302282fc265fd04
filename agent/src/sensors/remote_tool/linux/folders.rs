//! Notices installs: folders that programs, units and packages are put into, watched by inotify.
//!
//! Not by the `notify` crate: that also asks for every opening of a file, which in `/usr/bin` is every start of
//! a program.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::super::paths;

const FOLDERS: [&str; 16] = [
    "usr/bin",
    "usr/local/bin",
    "usr/sbin",
    "opt",
    "etc/systemd/system",
    "etc/systemd/user",
    "usr/lib/systemd/system",
    "usr/lib/systemd/user",
    "usr/local/lib/systemd/system",
    "etc/init.d",
    "etc/xdg/autostart",
    "var/lib/dpkg",
    "var/lib/pacman/local",
    "var/lib/flatpak/app",
    "snap",
    "usr/local/mesh_services",
];
const AT_HOME: [&str; 2] = [".config/autostart", ".config/systemd/user"];

/// Install folders, watched.
pub(super) struct Folders(OwnedFd);

impl Folders {
    /// Watches those that exist. `None` if the system grants no watches.
    pub(super) fn watch(root: &Path) -> Option<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
        let flags = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        let at_home = paths::homes(root).into_iter().flat_map(|home| AT_HOME.map(|folder| home.join(folder)));
        for folder in FOLDERS.iter().map(|folder| root.join(folder)).chain(at_home) {
            // A folder that is not there is looked at in its turn.
            let _ = inotify::add_watch(&fd, &folder, flags);
        }
        Some(Self(fd))
    }

    /// Takes all that waits. Answers whether anything happened.
    pub(super) fn happened(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut happened = false;
        while let Ok(event) = events.next() {
            happened |= !event.events().contains(ReadFlags::IGNORED);
        }
        happened
    }
}

impl AsFd for Folders {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
