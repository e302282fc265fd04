//! What Linux and macOS have in common.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::Readers;

/// Creates or empties a file: 0600 or 0644.
pub fn create(path: &Path, readers: Readers) -> io::Result<File> {
    let mode = if readers == Readers::Agent { 0o600 } else { 0o644 };
    let file = File::options().write(true).create(true).truncate(true).mode(mode).open(path)?;
    if readers == Readers::All {
        // The service's umask closes what it makes to everybody else.
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(file)
}

/// Makes a folder if there is none. One for all is made readable (0755); the others stay as they are, because
/// the files in them have their own modes.
pub fn make_folder(folder: &Path, readers: Readers) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    if readers == Readers::All {
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Makes names in a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes all bytes at an offset.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Fills a buffer from an offset; an error where the file ends before.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}
