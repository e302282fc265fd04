//! What programs' files say of themselves, remembered by what tells one file from another.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::windows::fs::FileExt as _;

use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::program::Program;

use super::super::from_windows;
use super::super::tools::Hit;
use crate::windows::file::{self, Identity};

/// Most files that are remembered.
const MOST: usize = 1024;

/// Reads programs.
#[derive(Default)]
pub(super) struct Programs {
    known: BTreeMap<Identity, Program>,
}

impl Programs {
    /// Whose a program is, by its bytes.
    pub(super) fn whose(
        &mut self,
        catalogue: &Catalogue,
        path: &str,
        command_line: Option<&str>,
    ) -> Option<Hit> {
        let file = File::open(path).ok()?;
        let identity = file::identity(&file)?;
        if self.known.len() >= MOST && !self.known.contains_key(&identity) {
            self.known.clear();
        }
        let program = self.known.entry(identity).or_insert_with(|| read(&file));
        from_windows::by_bytes(catalogue, program, command_line)
    }
}

/// A file that is no program says nothing.
fn read(file: &File) -> Program {
    Program::of_windows(&mut |at, length| part(file, at, length)).unwrap_or_default()
}

fn part(file: &File, at: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut read = 0;
    while read < length {
        match file.seek_read(&mut bytes[read..], at + read as u64) {
            Ok(more @ 1..) => read += more,
            Ok(0) | Err(_) => break,
        }
    }
    bytes.truncate(read);
    bytes
}
