//! macOS.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

pub use super::posix::{create, make_folder, read_exact_at, sync_folder, write_all_at};
use crate::apple::system;
pub use crate::apple::system::since_boot;

/// The configuration file.
pub fn config_path() -> PathBuf {
    "/Library/Application Support/Farmwatch/agent.toml".into()
}

/// The state folder, unless something says otherwise.
pub fn state_path() -> PathBuf {
    "/var/db/farmwatch".into()
}

/// Names this run of the operating system; empty where it has no such name.
pub fn boot_id() -> String {
    system::sysctl_text("kern.bootsessionuuid").unwrap_or_default()
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

/// A process is a running agent.
pub fn is_agent(pid: u32) -> bool {
    pid != 0 && system::name_of(pid).is_some_and(|name| name.starts_with("farmwatch-agent"))
}

/// How the service is started here by hand.
pub fn start_hint() -> Option<&'static str> {
    const ITEM: &str = "/Library/LaunchDaemons/com.farmwatch.agent.plist";
    Path::new(ITEM).exists().then_some(
        "launchctl bootstrap system /Library/LaunchDaemons/com.farmwatch.agent.plist, \
         or launchctl kickstart -k system/com.farmwatch.agent where it runs already",
    )
}
