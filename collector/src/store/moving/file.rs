//! A file that is there whole or not at all, for its owner only.

use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::super::{Result, StoreError};

/// A file in the making, removed unless it becomes what it is made for.
pub struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// An empty one beside the file that it is to become.
    pub fn beside(file: &Path) -> Result<Self> {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:08x}.part", crate::app::draw_from_system() & 0xffff_ffff));
        let path = file.with_file_name(name);
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| cannot("write", &path, &error))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, for good.
    pub fn becomes(self, file: &Path) -> Result<()> {
        fs::rename(&self.path, file).map_err(|error| cannot("write", file, &error))?;
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| cannot("sync", folder, &error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for beside in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(beside);
            // What is not there needs no removing, and what cannot be removed is of no use to anybody.
            let _ = fs::remove_file(&name);
        }
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot {what} {}: {error}", path.display()))
}
