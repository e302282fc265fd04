//! Reading files that may lie: bounded in size and number, never blocking on a pipe, text as text can be.
//!
//! Every sensor reads through here. A sysfs or procfs that hands out junk, endless files, loops of links or
//! named pipes costs a sensor its sight, not the agent its time or memory.

use std::fs::File;
use std::io::{self, BufRead as _, Read as _};
use std::path::{Path, PathBuf};

use crate::system;

/// Enough for every attribute and small configuration file: 64 KiB.
pub const SMALL: usize = 64 << 10;

/// Most names that are taken from a folder of the system's.
pub const MANY: usize = 4096;

/// What cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {}: {why}", path.display())]
pub struct ReadError {
    /// Which file or folder.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why something cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It is not there.
    #[error("there is none")]
    Missing,
    /// The agent may not.
    #[error("not permitted; run the agent as its service does")]
    NotPermitted,
    /// It is a pipe, a device, a socket, or a folder where a file should be.
    #[error("not a regular file")]
    NotAFile,
    /// More than the bound.
    #[error("larger than {0} bytes")]
    TooLong(usize),
    /// More names than the bound.
    #[error("more than {0} entries")]
    TooMany(usize),
    /// Anything else, in the system's words.
    #[error("{0}")]
    Other(String),
}

impl ReadError {
    fn new(path: &Path, why: Why) -> Self {
        Self { path: path.to_owned(), why }
    }

    fn io(path: &Path, error: &io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Why::Missing,
            io::ErrorKind::PermissionDenied => Why::NotPermitted,
            _ => Why::Other(error.to_string()),
        };
        Self::new(path, why)
    }

    /// It is simply not there.
    pub fn is_missing(&self) -> bool {
        self.why == Why::Missing
    }

    /// There is more of it than is read: somebody may hide something behind.
    pub fn is_stuffed(&self) -> bool {
        matches!(self.why, Why::TooLong(_) | Why::TooMany(_))
    }
}

/// The whole of a regular file of at most `most` bytes.
pub fn bytes(path: &Path, most: usize) -> Result<Vec<u8>, ReadError> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a full file from one that is too long.
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.by_ref().take(limit).read_to_end(&mut bytes).map_err(|e| ReadError::io(path, &e))?;
    if bytes.len() > most {
        return Err(ReadError::new(path, Why::TooLong(most)));
    }
    Ok(bytes)
}

/// The first `most` bytes of a regular file, however long it is: tables of the kernel's whose head tells all.
pub fn start(path: &Path, most: usize) -> Result<String, ReadError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    open(path)?.take(limit).read_to_end(&mut bytes).map_err(|e| ReadError::io(path, &e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A regular file of at most `most` bytes as text: what is not UTF-8 becomes `�`; white space and NULs around
/// it are cut.
pub fn text(path: &Path, most: usize) -> Result<String, ReadError> {
    let bytes = bytes(path, most)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
}

/// Longest line that [`each_line`] hands on, in bytes.
const LINE: usize = 4096;

/// Hands on each line of a file of at most `most` bytes without holding the file in memory. Longer lines than
/// 4 KiB are left out.
pub fn each_line(path: &Path, most: usize, mut take: impl FnMut(&str)) -> Result<(), ReadError> {
    let file = open(path)?;
    if file.metadata().is_ok_and(|data| usize::try_from(data.len()).is_ok_and(|len| len > most)) {
        return Err(ReadError::new(path, Why::TooLong(most)));
    }
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    let mut reader = io::BufReader::with_capacity(64 << 10, file.take(limit));
    let mut line = Vec::new();
    let mut long = false;
    loop {
        let chunk = reader.fill_buf().map_err(|e| ReadError::io(path, &e))?;
        if chunk.is_empty() {
            break;
        }
        let end = chunk.iter().position(|b| *b == b'\n');
        let piece = &chunk[..end.unwrap_or(chunk.len())];
        long |= line.len() + piece.len() > LINE;
        if !long {
            line.extend_from_slice(piece);
        }
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            if !long {
                take(&String::from_utf8_lossy(&line));
            }
            line.clear();
            long = false;
        }
    }
    if !line.is_empty() && !long {
        take(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

/// A one-line attribute: [`text`] without control characters, or `None` if it is missing, unreadable or empty.
pub fn attribute(path: &Path) -> Option<String> {
    let text = text(path, SMALL).ok()?;
    let line: String = text.lines().next()?.chars().filter(|c| !c.is_control()).take(256).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// Names in a folder, sorted; at most `most`. Names that are not UTF-8 are read as text can be.
pub fn names(folder: &Path, most: usize) -> Result<Vec<String>, ReadError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| ReadError::io(folder, &e))? {
        let entry = entry.map_err(|e| ReadError::io(folder, &e))?;
        if names.len() == most {
            return Err(ReadError::new(folder, Why::TooMany(most)));
        }
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Where a symbolic link points, as it is written.
pub fn link(path: &Path) -> Result<PathBuf, ReadError> {
    std::fs::read_link(path).map_err(|e| ReadError::io(path, &e))
}

/// Inodes of the sockets among a process's files (`/proc/PID/fd`), of at most `most` files.
#[cfg(target_os = "linux")]
pub fn sockets(files: &Path, most: usize) -> Result<std::collections::HashSet<u64>, ReadError> {
    let names = names(files, most)?;
    let inode = |name: &String| {
        let target = link(&files.join(name)).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    Ok(names.iter().filter_map(inode).collect())
}

/// Opens a regular file. Looks before it opens, because opening alone can block (pipes) or act (devices).
fn open(path: &Path) -> Result<File, ReadError> {
    let wrong = || ReadError::new(path, Why::NotAFile);
    let io = |e: io::Error| ReadError::io(path, &e);
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(wrong());
    }
    let file = system::open_without_blocking(path).map_err(io)?;
    // The name may lead elsewhere by now.
    if file.metadata().map_err(io)?.is_file() { Ok(file) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_not_past_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attribute");
        std::fs::write(&path, "1234\n").unwrap();
        assert_eq!(text(&path, 5).unwrap(), "1234");
        assert_eq!(bytes(&path, 4).unwrap_err().why, Why::TooLong(4));
        assert!(text(&folder.path().join("none"), 5).unwrap_err().is_missing());
        assert_eq!(bytes(folder.path(), 5).unwrap_err().why, Why::NotAFile);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pipes_devices_and_loops_of_links_are_refused_at_once() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let fifo = at("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(bytes(&fifo, 10).unwrap_err().why, Why::NotAFile);
        assert_eq!(bytes(Path::new("/dev/zero"), 10).unwrap_err().why, Why::NotAFile);
        symlink(at("b"), at("a")).unwrap();
        symlink(at("a"), at("b")).unwrap();
        assert!(matches!(bytes(&at("a"), 10).unwrap_err().why, Why::Other(_)));
    }

    #[test]
    fn lines_are_handed_on_one_by_one_and_endless_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status");
        std::fs::write(&path, format!("Package: a\n{}\n\nlast", "x".repeat(100_000))).unwrap();
        let mut lines = Vec::new();
        each_line(&path, 1 << 20, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["Package: a", "", "last"]);
        assert_eq!(each_line(&path, 100, |_| ()).unwrap_err().why, Why::TooLong(100));
    }

    #[test]
    fn a_folder_with_too_many_names_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..5 {
            std::fs::write(folder.path().join(n.to_string()), "").unwrap();
        }
        assert_eq!(names(folder.path(), 4).unwrap_err().why, Why::TooMany(4));
        assert_eq!(names(folder.path(), 5).unwrap().len(), 5);
    }

    proptest! {
        #[test]
        fn attributes_are_printable_whatever_the_file_holds(junk in prop::collection::vec(any::<u8>(), 0..600)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("attribute");
            std::fs::write(&path, junk).unwrap();
            if let Some(text) = attribute(&path) {
                prop_assert!(!text.contains(char::is_control) && !text.is_empty());
            }
        }
    }
}
