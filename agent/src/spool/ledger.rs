//! The ledger: everything that was sent, for whoever uses this laptop to read.
//!
//! One file of NDJSON a day, readable by all, bounded in days and bytes. Each line is the report as it went
//! to the collector, with the time at which the collector had it.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use farmwatch_shared::report::Report;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::{self, Readers};
use crate::system;

/// Days that are kept.
const DAYS: usize = 31;
/// Bytes that are kept; the oldest days go first.
const MAX_BYTES: u64 = 32 << 20;

/// A line of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// When the collector had it, by the laptop's clock.
    pub sent_at: Timestamp,
    /// What it got.
    pub report: Report,
}

/// The folder of what was sent.
#[derive(Debug)]
pub struct Ledger {
    folder: PathBuf,
}

impl Ledger {
    /// The ledger in a folder, which is made if it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        system::make_folder(folder, Readers::All)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The ledger for reading.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Writes down what was sent. On a new day, old days go.
    pub fn write(&self, reports: &[Report], now: Timestamp) -> io::Result<()> {
        let path = self.day(now);
        if !path.exists() {
            self.trim()?;
            files::create(&path, Readers::All)?;
        }
        let mut lines = Vec::new();
        for report in reports {
            serde_json::to_writer(&mut lines, &Line { sent_at: now, report })?;
            lines.push(b'\n');
        }
        File::options().append(true).open(path)?.write_all(&lines)
    }

    /// Hands what was sent since a time to `each`, oldest first, each report once. Lines that are not whole
    /// are passed over.
    pub fn read(&self, since: Timestamp, mut each: impl FnMut(Sent)) -> io::Result<()> {
        let first = self.day(since);
        let mut seen = std::collections::HashSet::new();
        for path in self.days()?.into_iter().filter(|path| *path >= first) {
            for line in BufReader::new(File::open(path)?).split(b'\n') {
                let Ok(sent) = serde_json::from_slice::<Sent>(&line?) else { continue };
                let name = (sent.report.device.clone(), sent.report.boot.clone(), sent.report.seq);
                if sent.sent_at >= since && seen.insert(name) {
                    each(sent);
                }
            }
        }
        Ok(())
    }

    fn day(&self, at: Timestamp) -> PathBuf {
        let date = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        self.folder.join(format!("{date}.ndjson"))
    }

    fn days(&self) -> io::Result<Vec<PathBuf>> {
        let mut days: Vec<_> =
            fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        days.retain(|path| path.extension().is_some_and(|e| e == "ndjson"));
        days.sort();
        Ok(days)
    }

    fn trim(&self) -> io::Result<()> {
        let mut bytes = 0;
        for (age, path) in self.days()?.into_iter().rev().enumerate() {
            bytes += fs::metadata(&path)?.len();
            if age + 1 >= DAYS || bytes > MAX_BYTES {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Line<'a> {
    sent_at: Timestamp,
    report: &'a Report,
}
