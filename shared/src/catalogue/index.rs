//! How entries are found: by hash of the whole name, or of the first letters of a pattern with stars, so that asking
//! about one of thousands of process starts compares a handful of texts and never all.

use super::parse::{BadCatalogue, Entry, Kind};
use super::{Os, domain, file, glob};

/// Length to which Linux cuts a process's name (`comm`).
pub(super) const COMM: usize = 15;
/// Letters of a pattern's start by which it is found, the longest first.
const STARTS: [usize; 2] = [5, 3];
/// Most patterns of one system that must be compared with every name because they begin with a star.
const MOST_OPEN: usize = 48;
/// Most patterns that may begin with the same letters.
const MOST_ALIKE: usize = 200;

/// Entries by what is asked.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// Hash of kind and key → entry, sorted.
    keys: Vec<(u32, u16)>,
    /// Entries whose name begins with a star or nearly so, by system.
    open: [Vec<u16>; 3],
}

impl Index {
    /// Refuses a catalogue that would make asking slow.
    pub(super) fn build(entries: &[Entry], text: &str) -> Result<Self, BadCatalogue> {
        let mut keys = Vec::with_capacity(entries.len() * 5 / 4);
        let mut open: [Vec<u16>; 3] = Default::default();
        // Where accounts lie is listed, never asked for by name.
        for (n, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.kind != Kind::Account) {
            let n = u16::try_from(n).unwrap_or(u16::MAX);
            let pattern = entry.pattern.of(text);
            if let Some(key) = whole(entry.kind, pattern) {
                keys.push((hash(entry.kind, false, key), n));
                if entry.kind == Kind::Process && key.len() > COMM && key.is_char_boundary(COMM) {
                    keys.push((hash(entry.kind, false, &key[..COMM]), n));
                }
            } else if let Some(start) = start(entry.kind, pattern) {
                keys.push((hash(entry.kind, true, start), n));
            } else {
                Os::ALL.iter().zip(&mut open).filter(|(os, _)| entry.os & os.bit() != 0).for_each(
                    |(_, open)| {
                        open.push(n);
                    },
                );
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys.shrink_to_fit();
        open.iter_mut().for_each(Vec::shrink_to_fit);
        let alike = keys.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).max().unwrap_or_default();
        if alike > MOST_ALIKE || open.iter().any(|open| open.len() > MOST_OPEN) {
            let reason = format!(
                "more than {MOST_OPEN} patterns begin with a star, or more than {MOST_ALIKE} with the same letters"
            );
            return Err(BadCatalogue { line: 0, reason });
        }
        Ok(Self { keys, open })
    }

    /// Entries that may be meant by a whole name, host's suffix or folder.
    pub(super) fn named(&self, kind: Kind, name: &str) -> impl Iterator<Item = u16> {
        self.at(hash(kind, false, name))
    }

    /// Entries with stars that may be meant by a name.
    pub(super) fn starred(&self, kind: Kind, os: Os, name: &str) -> impl Iterator<Item = u16> {
        let starts = STARTS.into_iter().filter_map(|len| name.get(..len));
        let found = starts.flat_map(move |start| self.at(hash(kind, true, start)));
        found.chain(self.open.get(os as usize).into_iter().flatten().copied())
    }

    fn at(&self, hash: u32) -> impl Iterator<Item = u16> {
        let from = self.keys.partition_point(|(h, _)| *h < hash);
        self.keys.get(from..).unwrap_or_default().iter().take_while(move |(h, _)| *h == hash).map(|(_, n)| *n)
    }

    /// Memory that it holds, in bytes.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.keys.capacity() * size_of::<(u32, u16)>()
            + self.open.iter().map(|open| open.capacity() * 2).sum::<usize>()
    }
}

/// The key of a pattern that is found by a whole name; `None` if only comparing finds it.
fn whole(kind: Kind, pattern: &str) -> Option<&str> {
    match kind {
        Kind::Domain => domain::key(pattern),
        Kind::File | Kind::Registry => file::anchor(pattern),
        Kind::Process => Some(base(pattern)).filter(|base| !glob::is_glob(base)),
        _ => (!glob::is_glob(pattern)).then_some(pattern),
    }
}

/// The letters with which every name begins that a pattern with stars matches.
fn start(kind: Kind, pattern: &str) -> Option<&str> {
    let pattern = if kind == Kind::Process { base(pattern) } else { pattern };
    let literal = pattern.split(['*', '?']).next().unwrap_or_default();
    STARTS.into_iter().find_map(|len| literal.get(..len))
}

fn base(pattern: &str) -> &str {
    pattern.rsplit(['/', '\\']).next().unwrap_or(pattern)
}

/// FNV-1a over the kind and the lower-cased key.
fn hash(kind: Kind, is_start: bool, key: &str) -> u32 {
    let kind = u32::from(kind as u8) | u32::from(is_start) << 7;
    let start = (0x811c_9dc5_u32 ^ kind).wrapping_mul(0x0100_0193);
    key.bytes().fold(start, |h, b| (h ^ u32::from(b.to_ascii_lowercase())).wrapping_mul(0x0100_0193))
}
