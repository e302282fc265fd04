//! A disk that can be full: a small file system in memory. Mounting takes root.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;

/// What takes the room that others should have.
const OTHERS: &str = "others";

/// A small file system, gone when dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one of some megabytes over a folder, which is made if it is not there.
    pub fn mount(at: &Path, megabytes: u32) -> anyhow::Result<Self> {
        std::fs::create_dir_all(at)?;
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output()?;
        let said = String::from_utf8_lossy(&mount.stderr).into_owned();
        ensure!(mount.status.success(), "this test mounts a small file system and needs root: {said}");
        Ok(Self(at.to_owned()))
    }

    /// Takes every byte that is left.
    pub fn fill(&self) -> std::io::Result<()> {
        let mut file = std::fs::File::options().create(true).append(true).open(self.0.join(OTHERS))?;
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        Ok(())
    }

    /// Gives all of it back.
    pub fn make_room(&self) -> std::io::Result<()> {
        std::fs::remove_file(self.0.join(OTHERS))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
