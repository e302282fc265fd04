//! What gives way when there is no room: a reserve, then the oldest activity windows.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use farmwatch_shared::report::Report;
use serde::{Deserialize, Serialize};

use super::{Segment, Spool, segment};
use crate::files::{self, Readers};
use crate::system;

/// Disk space held back: twice what rewriting the largest segment takes.
const RESERVE: u64 = 512 << 10;

/// How many windows were dropped. While a segment is being rewritten it also says which and what the count
/// was before, so that a crash in between miscounts nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Dropped {
    count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rewriting: Option<Rewriting>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Rewriting {
    segment: u64,
    count_before: u64,
}

/// Reads the count of dropped windows.
pub fn read_dropped(folder: &Path, segments: &VecDeque<Segment>) -> u64 {
    let dropped: Dropped = files::read_json(&dropped_path(folder)).ok().flatten().unwrap_or_default();
    match dropped.rewriting {
        Some(r) if segments.iter().any(|s| s.first == r.segment && s.windows) => r.count_before,
        _ => dropped.count,
    }
}

impl Spool {
    /// Writes a record; on a full disk gives up windows, then the reserve.
    pub(super) fn write_making_room(&mut self, record: &[u8]) -> io::Result<()> {
        loop {
            let error = match self.write(record) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                return Err(error);
            }
            let had_reserve = fs::remove_file(reserve_path(&self.folder)).is_ok();
            let gave_up = self.give_up_windows().unwrap_or(false);
            if gave_up {
                self.restore_reserve();
            } else if !had_reserve {
                return Err(error);
            }
        }
    }

    /// Rewrites the oldest segment that has windows without them; false if there is none.
    pub(super) fn give_up_windows(&mut self) -> io::Result<bool> {
        let Some(index) = self.segments.iter().position(|s| s.windows) else { return Ok(false) };
        if index + 1 == self.segments.len() {
            // The newest segment's last record tells the next number: leave a segment after it.
            self.rotate()?;
        }
        let old = self.segments[index];
        let path = segment::path(&self.folder, old.first);
        let mut kept = Vec::new();
        let (mut dropped, mut last) = (0, old.first.saturating_sub(1));
        for record in segment::records(&path)?.into_iter().filter(|r| r.seq > self.acked) {
            let (payload, windows) = without_windows(record.payload);
            dropped += windows;
            let Some(payload) = payload else { continue };
            last = record.seq;
            kept.extend(segment::encode(record.seq, &payload));
        }
        self.dropped_windows += dropped;
        self.write_dropped(Some(Rewriting {
            segment: old.first,
            count_before: self.dropped_windows - dropped,
        }))?;
        if index == 0 {
            self.cursor = 0;
        }
        if kept.is_empty() {
            fs::remove_file(&path)?;
            self.segments.remove(index);
        } else {
            files::write_atomically(&path, &kept, Readers::Agent)?;
            self.segments[index] = Segment { last, bytes: kept.len() as u64, windows: false, ..old };
        }
        Ok(true)
    }

    /// Counts windows that did not even get here.
    pub fn count_dropped(&mut self, windows: u64) -> io::Result<()> {
        self.dropped_windows += windows;
        self.write_dropped(None)
    }

    /// Holds disk space back again, if there is any.
    pub(super) fn restore_reserve(&self) {
        let path = reserve_path(&self.folder);
        if fs::metadata(&path).is_ok_and(|m| m.len() == RESERVE) {
            return;
        }
        let allocated = File::create(&path).and_then(|file| system::allocate(&file, RESERVE));
        if allocated.is_err() {
            let _ = fs::remove_file(&path);
        }
    }

    pub(super) fn write_dropped(&self, rewriting: Option<Rewriting>) -> io::Result<()> {
        let dropped = Dropped { count: self.dropped_windows, rewriting };
        let bytes = serde_json::to_vec(&dropped)?;
        files::write_atomically(&dropped_path(&self.folder), &bytes, Readers::Agent)
    }
}

/// A report's JSON without windows, and how many went; no JSON if nothing else was in it. Its number is then
/// missing in the row, which hurts nothing: such a report leaves the state's digest as it was.
fn without_windows(payload: Vec<u8>) -> (Option<Vec<u8>>, u64) {
    let Ok(mut report) = serde_json::from_slice::<Report>(&payload) else { return (Some(payload), 0) };
    let dropped = report.windows.len() as u64;
    report.windows.clear();
    let rest = if report.is_heartbeat() { None } else { serde_json::to_vec(&report).ok() };
    (rest, dropped)
}

fn reserve_path(folder: &Path) -> PathBuf {
    folder.join("reserve")
}

fn dropped_path(folder: &Path) -> PathBuf {
    folder.join("dropped_windows.json")
}
