//! What the Go linker writes into every program: the package and the module that it was built from.

use object::{Object as _, ObjectSection as _};

/// What the information begins with.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Longest part of a section in which it is sought: it stands at the start of its own section, or in `.data`.
const MOST: usize = 1 << 20;

/// The package's path and the module's.
pub(super) fn modules(file: &object::File<'_>) -> Vec<String> {
    let named = [".go.buildinfo", "__go_buildinfo", ".data"];
    let sections = named.iter().filter_map(|name| file.section_by_name(name));
    sections.filter_map(|section| section.data().ok()).find_map(in_data).unwrap_or_default()
}

/// The same, in a section's or segment's bytes.
pub(super) fn in_data(data: &[u8]) -> Option<Vec<String>> {
    let data = data.get(..data.len().min(MOST)).unwrap_or_default();
    let at = data.windows(MAGIC.len()).step_by(16).position(|window| window == MAGIC)? * 16;
    info(data.get(at..)?)
}

/// Go 1.18 and later: after 32 bytes, the version and the module's lines, each after its length.
fn info(data: &[u8]) -> Option<Vec<String>> {
    let inline = data.get(15)? & 2 != 0;
    if !inline {
        return None;
    }
    let (_, rest) = text(data.get(32..)?)?;
    let (lines, _) = text(rest)?;
    // A mark of 16 bytes stands before and after the lines.
    let lines = lines.get(16..lines.len().checked_sub(16)?)?;
    let lines = String::from_utf8_lossy(lines.get(..lines.len().min(4096))?);
    let path = |line: &str| {
        let mut words = line.split('\t');
        let of = words.next().filter(|word| ["path", "mod"].contains(word))?;
        words.next().map(|value| (of.to_owned(), super::clean(value)))
    };
    Some(lines.lines().take(8).filter_map(path).map(|(_, value)| value).collect())
}

/// A run of bytes after its length (seven bits a byte), and what follows.
fn text(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut len = 0usize;
    for (n, byte) in data.iter().enumerate().take(4) {
        len |= usize::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return data.get(n + 1..)?.split_at_checked(len);
        }
    }
    None
}
