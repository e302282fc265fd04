//! What the writer remembers of devices, so that a heartbeat needs no read.

use std::collections::HashMap;

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::state::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::prepared::{Last, fingerprint};
use super::super::{Result, Standing};
use super::convert::{count, from_word, uncount};

/// Most devices remembered: some 300 bytes each.
const MOST: usize = 1 << 20;

/// A device as the next report finds it.
#[derive(Clone, Debug)]
pub struct Head {
    pub number: i64,
    pub revoked: bool,
    pub machine: Box<str>,
    pub boot: Box<str>,
    pub boot_from: u64,
    pub seq: u64,
    pub digest: Digest,
    pub dropped_windows: u64,
    /// Day of `last_seen`.
    pub seen_day: Option<i64>,
    /// Fingerprint of public address, country and network.
    pub origin: u64,
    /// Day and value of the shortest round trip that is written.
    pub rtt: (i64, u32),
    /// Arrival in milliseconds and clock skew in seconds of a heartbeat that is still to be written, with `seq`.
    pub beat: Option<(i64, i64)>,
}

impl Head {
    /// As the last report left it.
    pub fn last(&self) -> Last<'_> {
        let Self { machine, boot, boot_from, seq, .. } = self;
        Last { machine, boot, boot_from: *boot_from, seq: *seq }
    }
}

/// Where a device's head stands among those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

/// Heads by device. They hold while nobody else writes to the file; another process that does shows in
/// SQLite's `data_version`, and then they are read again.
#[derive(Default)]
pub struct Heads {
    /// Where a device's head stands in `known`.
    places: HashMap<DeviceId, usize>,
    known: Vec<Head>,
    /// Those whose heartbeats are still to be written.
    beats: Vec<usize>,
    version: i64,
}

impl Heads {
    /// Forgets everything if another connection has written since the last call. Call it at the start of each
    /// transaction, when nobody else can write any more.
    pub fn check(&mut self, conn: &Connection) -> Result<()> {
        let version = conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version != self.version || self.known.len() >= MOST {
            self.forget_all();
            self.version = version;
        }
        Ok(())
    }

    /// Forgets everything: what was remembered may not be what is stored.
    pub fn forget_all(&mut self) {
        self.places.clear();
        self.known.clear();
        self.beats.clear();
    }

    /// Forgets one device, after a change to it.
    pub fn forget(&mut self, id: &DeviceId) {
        // Its place stays empty until all is forgotten.
        self.places.remove(id);
    }

    /// A device's number, if it is remembered.
    pub fn number(&self, id: &DeviceId) -> Option<i64> {
        self.places.get(id).and_then(|place| self.known.get(*place)).map(|head| head.number)
    }

    /// Where a device's head stands; `None` for one that is not there.
    pub fn find(&mut self, conn: &Connection, id: &DeviceId) -> Result<Option<Place>> {
        if let Some(place) = self.places.get(id) {
            return Ok(Some(Place(*place)));
        }
        let Some(head) = read(conn, id)? else { return Ok(None) };
        self.known.push(head);
        self.places.insert(id.clone(), self.known.len() - 1);
        Ok(Some(Place(self.known.len() - 1)))
    }

    /// A head that was found since all were last forgotten.
    pub fn at(&mut self, Place(place): Place) -> &mut Head {
        &mut self.known[place]
    }

    /// Keeps a heartbeat until [`Self::write_beats`]: only the last one of a device is written.
    pub fn beat(&mut self, Place(place): Place, beat: (i64, i64)) {
        if self.known[place].beat.replace(beat).is_none() {
            self.beats.push(place);
        }
    }

    /// Writes the heartbeats that were kept, with one statement and in the file's order: what follows in the
    /// transaction finds them there.
    pub fn write_beats(&mut self, conn: &Connection) -> Result<()> {
        if self.beats.is_empty() {
            return Ok(());
        }
        let mut beats = std::mem::take(&mut self.beats);
        beats.sort_unstable_by_key(|place| self.known[*place].number);
        // primary key
        let mut update = conn
            .prepare_cached("UPDATE head SET seq = ?2, last_seen = ?3, clock_skew = ?4 WHERE device = ?1")?;
        for place in beats.drain(..) {
            let head = &mut self.known[place];
            // None where a report that followed has written all of the head.
            if let Some((received, skew)) = head.beat.take() {
                update.execute(params![head.number, count(head.seq), received, skew])?;
            }
        }
        self.beats = beats;
        Ok(())
    }
}

// device by its UNIQUE id, head and rtt by primary key
const READ: &str =
    "SELECT d.number, d.standing, h.machine, h.boot, h.boot_from, h.seq, h.digest, h.seen_day, h.address,
        h.country, h.network, h.dropped_windows, r.day, r.ms
    FROM device d JOIN head h ON h.device = d.number
    LEFT JOIN rtt r ON r.device = d.number AND r.day = h.seen_day
    WHERE d.id = ?1";

fn read(conn: &Connection, id: &DeviceId) -> Result<Option<Head>> {
    let mut statement = conn.prepare_cached(READ)?;
    let row = statement.query_row([id.as_str()], |row| {
        let text = |n| row.get::<_, Option<String>>(n);
        let origin = fingerprint(text(8)?.as_deref(), text(9)?.as_deref(), text(10)?.as_deref());
        let standing: String = row.get(1)?;
        let head = Head {
            number: row.get(0)?,
            revoked: false,
            machine: row.get::<_, String>(2)?.into(),
            boot: row.get::<_, String>(3)?.into(),
            boot_from: uncount(row.get(4)?),
            seq: uncount(row.get(5)?),
            digest: Digest::from_bytes(row.get(6)?),
            seen_day: row.get(7)?,
            origin,
            dropped_windows: uncount(row.get(11)?),
            rtt: (
                row.get::<_, Option<i64>>(12)?.unwrap_or(-1),
                row.get::<_, Option<u32>>(13)?.unwrap_or(u32::MAX),
            ),
            beat: None,
        };
        Ok((head, standing))
    });
    let Some((mut head, standing)) = row.optional()? else { return Ok(None) };
    head.revoked = from_word::<Standing>(&standing)? == Standing::Revoked;
    Ok(Some(head))
}
