//! Linux.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, open};
use rustix::time::{ClockId, clock_gettime};

pub use super::posix::{create, make_folder, read_exact_at, sync_folder, write_all_at};

/// The configuration file.
pub fn config_path() -> PathBuf {
    "/etc/farmwatch/agent.toml".into()
}

/// The state folder, unless something says otherwise.
pub fn state_path() -> PathBuf {
    "/var/lib/farmwatch".into()
}

/// Time since the machine started, sleep included.
pub fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
}

/// Names this run of the operating system; empty where it has no such name.
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// Gives a file its room on the disk.
pub fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    Ok(fallocate(file, FallocateFlags::empty(), 0, bytes)?)
}

/// Opens for reading; at once, even if it is a pipe or a device.
pub fn open_without_blocking(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// A process is a running agent.
pub fn is_agent(pid: u32) -> bool {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    pid != 0 && name.starts_with("farmwatch-agent")
}

/// How the service is started here by hand.
pub fn start_hint() -> Option<&'static str> {
    Path::new("/run/systemd/system").exists().then_some("systemctl restart farmwatch-agent")
}
