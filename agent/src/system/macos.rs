//! macOS.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use super::posix::{create, make_folder, read_exact_at, sync_folder, write_all_at};

/// The configuration file.
pub fn config_path() -> PathBuf {
    "/Library/Application Support/Farmwatch/agent.toml".into()
}

/// The state folder, unless something says otherwise.
pub fn state_path() -> PathBuf {
    "/var/db/farmwatch".into()
}

/// Time since the agent started: the clock that counts sleep is not read yet.
pub fn since_boot() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Names this run of the operating system: not read yet, so only the wall clock counts over a restart.
pub fn boot_id() -> String {
    String::new()
}

/// Gives a file its room on the disk.
pub fn allocate(mut file: &File, bytes: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), bytes), &mut file)?;
    file.flush()
}

/// Opens for reading.
pub fn open_without_blocking(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// A process may be a running agent.
pub fn is_agent(pid: u32) -> bool {
    pid != 0
}

/// How the service is started here by hand.
pub fn start_hint() -> Option<&'static str> {
    None
}
