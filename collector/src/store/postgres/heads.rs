//! Devices as the next report finds them.

use farmwatch_shared::report::Report;
use farmwatch_shared::state::Digest;
use tokio_postgres::Row;

use super::super::convert::{from_word, uncount};
use super::super::prepared::{Last, fingerprint};
use super::super::{Result, Standing};
use super::devices::digest;
use super::fault::Fault;
use super::line::get;

/// Facts whose digests are remembered, of each device: most change one of a few again and again, as a session's lock.
const FEW_FACTS: usize = 4;

/// The transaction that wrote a row, `xmin`, with its bits as PostgreSQL compares them to an integer's. A row that was
/// only locked keeps it.
pub type Version = i32;

/// A version from an answer: PostgreSQL's own type for it has no way to Rust, so it is asked for as a number.
pub fn version(row: &Row, column: usize) -> Result<Version, Fault> {
    let number = get::<i64>(row, column)?;
    #[expect(clippy::cast_possible_truncation, reason = "the bits are what counts")]
    Ok(number as Version)
}

/// A device as the next report finds it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its number.
    pub number: i64,
    /// As what it was read or written last.
    pub version: Version,
    /// It may not report.
    pub revoked: bool,
    /// Its hardware.
    pub machine: Box<str>,
    /// Boot of the last report.
    pub boot: Box<str>,
    /// First number of that boot.
    pub boot_from: u64,
    /// Number of the last report.
    pub seq: u64,
    /// Digest of its facts as they were sent.
    pub digest: Digest,
    /// Windows that a full spool has cost.
    pub dropped_windows: u64,
    /// Day of `last_seen`.
    pub seen_day: Option<i64>,
    /// Fingerprint of public address, country and network.
    pub origin: u64,
    /// Day and value of the shortest round trip that is stored.
    pub rtt: (i64, i64),
    /// Start of the newest window that is stored, or was: what begins later is not there.
    pub newest_window: i64,
    /// It told no serial number when it enrolled, nor since. Where that is no longer so, the statement that would write
    /// one knows.
    pub without_serial: bool,
    /// Digests of the facts that it told last, of [`FEW_FACTS`]: these are stored so, others are to be read.
    pub facts: Vec<(Box<str>, Digest)>,
    /// What else there is of it to be written, once a report was taken.
    pub touched: Option<Touched>,
}

/// What reports that were taken change of a head, beside what stands in it.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Arrival of the last, in milliseconds.
    pub last_seen: i64,
    /// The laptop's clock less ours, in seconds.
    pub clock_skew: i64,
    /// What is to be written.
    pub extent: Extent,
    /// Where it reports from now, if that is new: address, country, network.
    pub moved: Option<(Option<String>, Option<String>, Option<String>)>,
    /// Numbers that never came.
    pub gaps: u64,
}

/// How much of a head is to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Number, arrival and skew.
    #[default]
    Beat,
    /// The digest too.
    Told,
    /// Everything.
    Wide,
}

/// Locks heads, in order of their numbers. What they are is asked afterwards: a statement that had to wait sees what is
/// locked as it is now, and all else as it was when the wait began. UNIQUE id, primary key.
pub const LOCK: &str = "SELECT h.device FROM device d JOIN head h ON h.device = d.number WHERE d.id = ANY($1)
    ORDER BY h.device FOR UPDATE OF h";
/// Heads of devices by their UNIQUE ids; all else by primary key.
pub const READ: &str = r#"SELECT d.id, d.number, d.standing, h.machine, h.boot, h.boot_from, h.seq, h.digest, h.seen_day, h.address,
        h.country, h.network, h.dropped_windows, r.day, r.ms, d.serial IS NULL, h.xmin::text::bigint,
        (SELECT max(w.start) FROM "window" w WHERE w.device = d.number)
    FROM device d JOIN head h ON h.device = d.number LEFT JOIN rtt r ON r.device = d.number AND r.day = h.seen_day
    WHERE d.id = ANY($1)"#;

impl Head {
    /// From a row of [`READ`].
    pub fn of(row: &Row) -> Result<Self, Fault> {
        let standing: Standing = from_word(get(row, 2)?)?;
        Ok(Self {
            number: get(row, 1)?,
            version: version(row, 16)?,
            revoked: standing == Standing::Revoked,
            machine: get::<&str>(row, 3)?.into(),
            boot: get::<&str>(row, 4)?.into(),
            boot_from: uncount(get(row, 5)?),
            seq: uncount(get(row, 6)?),
            digest: digest(row, 7)?,
            seen_day: get(row, 8)?,
            origin: fingerprint(get(row, 9)?, get(row, 10)?, get(row, 11)?),
            dropped_windows: uncount(get(row, 12)?),
            rtt: (
                get::<Option<i64>>(row, 13)?.unwrap_or(-1),
                get::<Option<i64>>(row, 14)?.unwrap_or(i64::MAX),
            ),
            without_serial: get(row, 15)?,
            newest_window: get::<Option<i64>>(row, 17)?.unwrap_or(i64::MIN),
            facts: Vec::new(),
            touched: None,
        })
    }

    /// The digest of a fact, if it is remembered.
    pub fn fact(&self, key: &str) -> Option<Digest> {
        self.facts.iter().find(|(told, _)| **told == *key).map(|(_, digest)| *digest)
    }

    /// Remembers a fact's digest, and of the others the latest.
    pub fn remember(&mut self, key: &str, digest: Digest) {
        self.forget(key);
        if self.facts.len() >= FEW_FACTS {
            self.facts.remove(0);
        }
        self.facts.push((key.into(), digest));
    }

    /// A fact is no longer stored as it is remembered.
    pub fn forget(&mut self, key: &str) {
        self.facts.retain(|(told, _)| **told != *key);
    }

    /// As the last report left it.
    pub fn last(&self) -> Last<'_> {
        let Self { machine, boot, boot_from, seq, .. } = self;
        Last { machine, boot, boot_from: *boot_from, seq: *seq }
    }

    /// The report is the next, or a later one: it will be taken, and so the head written.
    pub fn awaits(&self, report: &Report) -> bool {
        !self.revoked && report.seq > self.seq && !self.last().is_elsewhere(report)
    }
}
