//! Reports wait here until the collector has them: durable before they are sent, deleted when acknowledged.
//!
//! A folder of segments, appended to and synced record by record. Bounded: at the bound, or where the disk
//! is full, the oldest activity windows go first and are counted; facts and transitions never go. A reserve
//! of disk space, given up when it is needed, keeps the spool working on a disk that others filled.

mod ledger;
mod room;
mod segment;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use farmwatch_shared::report::Report;

pub use ledger::{Ledger, Sent};

use crate::files::{self, Readers};
use crate::system;

/// A new segment begins after this many bytes.
const SEGMENT: u64 = 256 << 10;
/// A segment of which all is acknowledged is thrown away once it has this many bytes.
const WORTH_DELETING: u64 = 16 << 10;

/// Why a report is not in the spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The bound is reached and there are no more windows to give up.
    #[error("the spool {folder} is full ({bound} bytes) of reports without activity windows")]
    Full {
        /// The spool.
        folder: PathBuf,
        /// Its bound.
        bound: u64,
    },
    /// The disk did not take it.
    #[error("cannot write to the spool {folder}: {error}")]
    Io {
        /// The spool.
        folder: PathBuf,
        /// What happened.
        error: io::Error,
    },
}

/// The spool.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    bound: u64,
    segments: VecDeque<Segment>,
    active: File,
    /// Where in the first segment the first record stands that is not acknowledged.
    cursor: u64,
    acked: u64,
    next_seq: u64,
    dropped_windows: u64,
}

/// The oldest reports that wait.
#[derive(Debug, Default)]
pub struct Batch {
    /// The reports.
    pub reports: Vec<Report>,
    /// Number of the last record that was looked at; 0 if there was none.
    pub through: u64,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    first: u64,
    last: u64,
    bytes: u64,
    windows: bool,
}

impl Spool {
    /// Opens a spool, cuts what a crash left half-written, and says what it cut.
    pub fn open(folder: &Path, bound: u64) -> io::Result<(Self, Vec<String>)> {
        system::make_folder(folder, Readers::Agent)?;
        let mut notes = Vec::new();
        let mut segments = VecDeque::new();
        let firsts = segment::list(folder)?;
        for (index, first) in firsts.iter().enumerate() {
            let path = segment::path(folder, *first);
            let mut file = File::options().read(true).write(true).open(&path)?;
            let scan = segment::scan(&mut file)?;
            if scan.good < scan.length {
                notes.push(format!("{}: cut {} bytes", path.display(), scan.length - scan.good));
                file.set_len(scan.good)?;
                file.sync_all()?;
            }
            if scan.good == 0 && index + 1 < firsts.len() {
                fs::remove_file(&path)?;
                continue;
            }
            let last = scan.last.max(first.saturating_sub(1));
            segments.push_back(Segment { first: *first, last, bytes: scan.good, windows: scan.windows });
        }
        let mark = read_mark(folder);
        let last = segments.back().map_or(0, |s| s.last).max(mark);
        let active = if let Some(segment) = segments.back() {
            open_segment(folder, segment.first)?
        } else {
            let segment = Segment { first: last + 1, last, bytes: 0, windows: false };
            segments.push_back(segment);
            create_segment(folder, segment.first)?
        };
        let dropped_windows = room::read_dropped(folder, &segments);
        let mut spool = Self {
            folder: folder.to_owned(),
            bound,
            segments,
            active,
            cursor: 0,
            acked: 0,
            next_seq: last + 1,
            dropped_windows,
        };
        spool.advance(mark)?;
        spool.restore_reserve();
        Ok((spool, notes))
    }

    /// The number that the next report must have.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Nothing waits for an acknowledgement.
    pub fn is_empty(&self) -> bool {
        self.acked + 1 >= self.next_seq || self.unacked_bytes() == 0
    }

    /// Bytes that wait.
    pub fn unacked_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.bytes).sum::<u64>() - self.cursor
    }

    /// Windows that a full spool has cost since the device was enrolled.
    pub fn dropped_windows(&self) -> u64 {
        self.dropped_windows
    }

    /// Changes the bound.
    pub fn set_bound(&mut self, bound: u64) {
        self.bound = bound;
    }

    /// Makes a report durable. Its number must be [`Self::next_seq`].
    pub fn append(&mut self, report: &Report) -> Result<(), SpoolError> {
        debug_assert_eq!(report.seq, self.next_seq);
        let payload = serde_json::to_vec(report).map_err(|e| self.io(e.into()))?;
        let record = segment::encode(report.seq, &payload);
        while self.unacked_bytes() + record.len() as u64 > self.bound {
            if !self.give_up_windows().map_err(|e| self.io(e))? {
                return Err(SpoolError::Full { folder: self.folder.clone(), bound: self.bound });
            }
        }
        self.rotate_if_large().map_err(|e| self.io(e))?;
        self.write_making_room(&record).map_err(|e| self.io(e))?;
        self.next_seq = report.seq + 1;
        if let Some(segment) = self.segments.back_mut() {
            segment.last = report.seq;
            segment.bytes += record.len() as u64;
            segment.windows |= !report.windows.is_empty();
        }
        Ok(())
    }

    /// The oldest reports that wait: at most `count`, and no more than `bytes` of JSON unless one alone is
    /// larger.
    pub fn batch(&self, count: usize, bytes: usize) -> io::Result<Batch> {
        let (mut batch, mut size, mut offset) = (Batch::default(), 0, self.cursor);
        for segment in &self.segments {
            let file = File::open(segment::path(&self.folder, segment.first))?;
            while offset < segment.bytes {
                let Some(record) = segment::read(&file, offset)? else { break };
                size += record.payload.len();
                if batch.reports.len() == count || (size > bytes && !batch.reports.is_empty()) {
                    return Ok(batch);
                }
                offset += segment::HEADER + record.payload.len() as u64;
                batch.through = record.seq;
                // A record that checks and is no report is of another version of the agent: leave it out.
                batch.reports.extend(serde_json::from_slice::<Report>(&record.payload).ok());
            }
            offset = 0;
        }
        Ok(batch)
    }

    /// Everything up to `seq` is the collector's now.
    pub fn ack(&mut self, seq: u64) -> io::Result<()> {
        let seq = seq.min(self.next_seq - 1);
        if seq <= self.acked {
            return Ok(());
        }
        self.advance(seq)?;
        let all = self.segments.len() == 1 && self.unacked_bytes() == 0;
        if all && self.cursor >= WORTH_DELETING {
            self.rotate()?;
            self.advance(seq)?;
        }
        if all {
            self.restore_reserve();
        }
        // Not synced: after a power cut the collector gets some reports twice and takes them once.
        fs::write(mark_path(&self.folder), format!("{seq:020}"))
    }

    /// Gives up what waits and cannot be read: damaged on the disk since it was written.
    pub fn pass_over_all(&mut self) -> io::Result<()> {
        self.rotate()?;
        self.ack(self.next_seq - 1)
    }

    /// Throws everything away and begins again with number 1: the device has another name now.
    pub fn start_over(&mut self) -> io::Result<()> {
        for segment in std::mem::take(&mut self.segments) {
            fs::remove_file(segment::path(&self.folder, segment.first))?;
        }
        fs::write(mark_path(&self.folder), format!("{:020}", 0))?;
        let segment = Segment { first: 1, last: 0, bytes: 0, windows: false };
        self.active = create_segment(&self.folder, 1)?;
        self.segments.push_back(segment);
        (self.cursor, self.acked, self.next_seq, self.dropped_windows) = (0, 0, 1, 0);
        self.write_dropped(None)
    }

    /// Moves the cursor past `seq` and deletes segments that are wholly behind it.
    fn advance(&mut self, seq: u64) -> io::Result<()> {
        self.acked = self.acked.max(seq);
        while self.segments.len() > 1 && self.segments.front().is_some_and(|s| s.last <= seq) {
            if let Some(segment) = self.segments.pop_front() {
                fs::remove_file(segment::path(&self.folder, segment.first))?;
                self.cursor = 0;
            }
        }
        let Some(front) = self.segments.front() else { return Ok(()) };
        let file = File::open(segment::path(&self.folder, front.first))?;
        while self.cursor < front.bytes {
            match segment::peek(&file, self.cursor)? {
                Some((number, length)) if number <= seq => self.cursor += length,
                _ => break,
            }
        }
        Ok(())
    }

    fn rotate_if_large(&mut self) -> io::Result<()> {
        let limit = SEGMENT.min(self.bound / 8);
        if self.segments.back().is_some_and(|s| s.bytes >= limit && s.bytes > 0) {
            self.rotate()
        } else {
            Ok(())
        }
    }

    /// Begins a new segment.
    fn rotate(&mut self) -> io::Result<()> {
        if self.segments.back().is_some_and(|s| s.first == self.next_seq) {
            return Ok(());
        }
        self.active = create_segment(&self.folder, self.next_seq)?;
        let last = self.next_seq - 1;
        self.segments.push_back(Segment { first: self.next_seq, last, bytes: 0, windows: false });
        Ok(())
    }

    /// Writes a record at the end and syncs it; what did not get there whole is cut again.
    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        let end = self.segments.back().map_or(0, |s| s.bytes);
        let written = system::write_all_at(&self.active, record, end).and_then(|()| self.active.sync_data());
        if written.is_err() {
            let _ = self.active.set_len(end);
        }
        written
    }

    fn io(&self, error: io::Error) -> SpoolError {
        SpoolError::Io { folder: self.folder.clone(), error }
    }
}

fn create_segment(folder: &Path, first: u64) -> io::Result<File> {
    files::create(&segment::path(folder, first), Readers::Agent)?;
    files::sync_folder(folder)?;
    open_segment(folder, first)
}

fn open_segment(folder: &Path, first: u64) -> io::Result<File> {
    File::options().read(true).write(true).open(segment::path(folder, first))
}

fn mark_path(folder: &Path) -> PathBuf {
    folder.join("acked")
}

fn read_mark(folder: &Path) -> u64 {
    fs::read_to_string(mark_path(folder)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
