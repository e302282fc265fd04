//! What a group of reports comes to, written: one statement a table, all sent at once.
//!
//! Heads come first. Their rows are locked by it before anything else is, and it shows whether they are as they were
//! when they were read: of the rows that somebody else has written since, `xmin` is another. Who waited for such a row's
//! lock is told the same, for PostgreSQL asks its conditions once more of the row as it is then.

use futures_util::future::try_join_all;
use futures_util::try_join;
use tokio_postgres::types::ToSql;

use super::super::convert::{count, millis};
use super::super::work::WINDOWS_WAIT_IN_DOUBT;
use super::super::{StoreError, WINDOWS_WAIT};
use super::fault::Fault;
use super::fold::Writes;
use super::heads::{self, Extent, Head, Touched, Version};
use super::line::Line;
use super::locks;

const BEATS: &str = "UPDATE head h SET seq = b.seq, last_seen = b.last_seen, clock_skew = b.clock_skew
    FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[])
        AS b (device, version, seq, last_seen, clock_skew)
    WHERE h.device = b.device AND h.xmin = b.version";
const TOLD: &str =
    "UPDATE head h SET digest = b.digest, seq = b.seq, last_seen = b.last_seen, clock_skew = b.clock_skew
    FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])
        AS b (device, version, seq, last_seen, clock_skew, digest)
    WHERE h.device = b.device AND h.xmin = b.version";
// Of what changes seldom as well. A row whose `seen_day` stays the same touches no index by it either.
const WIDE: &str = "UPDATE head h SET boot = b.boot, boot_from = b.boot_from, machine = b.machine, digest = b.digest,
        seen_day = b.seen_day, dropped_windows = b.dropped_windows, gaps = h.gaps + b.gaps, seq = b.seq,
        last_seen = b.last_seen, clock_skew = b.clock_skew,
        address = CASE WHEN b.moved THEN b.address ELSE h.address END,
        country = CASE WHEN b.moved THEN b.country ELSE h.country END,
        network = CASE WHEN b.moved THEN b.network ELSE h.network END
    FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[], $8::bigint[],
        $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bool[], $14::text[], $15::text[], $16::text[])
        AS b (device, version, seq, last_seen, clock_skew, digest, boot, boot_from, machine, seen_day, dropped_windows,
            gaps, moved, address, country, network)
    WHERE h.device = b.device AND h.xmin = b.version";
const PUT_FACTS: &str = "INSERT INTO fact (device, key, digest, value)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::text[])
    ON CONFLICT (device, key) DO UPDATE SET digest = excluded.digest, value = excluded.value";
const REMOVE_FACTS: &str = "DELETE FROM fact f USING unnest($1::bigint[], $2::text[]) AS g (device, key)
    WHERE f.device = g.device AND f.key = g.key";
const WINDOWS: &str = r#"INSERT INTO "window" (device, start, value)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])
    ON CONFLICT (device, start) DO UPDATE SET value = excluded.value"#;
const TRANSITIONS: &str = "INSERT INTO transition (device, at, kind)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING";
const SENT: &str = "INSERT INTO sent (device, seq, received_at, report)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])
    ON CONFLICT (device, seq) DO UPDATE SET received_at = excluded.received_at, report = excluded.report";
const BOOTS: &str = "INSERT INTO boot (device, boot, seq_from, seq_to, ended_at)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    ON CONFLICT (device, boot, seq_from) DO UPDATE SET seq_to = excluded.seq_to, ended_at = excluded.ended_at";
const ROUND_TRIPS: &str = "INSERT INTO rtt AS r (device, day, ms)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
    ON CONFLICT (device, day) DO UPDATE SET ms = least(r.ms, excluded.ms)";
// Of several devices that tell one serial number at once, the first has it.
const NAMES: &str = "UPDATE device d SET hostname = n.hostname, os = n.os, serial = CASE
        WHEN d.serial IS NULL AND n.place = 1 AND NOT EXISTS (SELECT 1 FROM device o WHERE o.serial = n.serial)
        THEN n.serial ELSE d.serial END
    FROM (SELECT *, row_number() OVER (PARTITION BY serial ORDER BY device) AS place
          FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS u (device, hostname, os, serial)) n
    WHERE d.number = n.device AND (d.hostname <> n.hostname OR d.os <> n.os OR (d.serial IS NULL AND n.serial IS NOT NULL))";
const WORK: &str = "INSERT INTO work AS w (device, due_at, generation)
    SELECT device, due_at, 1 FROM unnest($1::bigint[], $2::bigint[]) AS u (device, due_at)
    ON CONFLICT (device) DO UPDATE SET generation = w.generation + 1, due_at = least(w.due_at, excluded.due_at)";
const WORK_LATER: &str = "INSERT INTO work AS w (device, due_at, generation)
    SELECT u.device, u.at + CASE WHEN j.llr > j.honest_llr THEN $3::bigint ELSE $4::bigint END, 1
    FROM unnest($1::bigint[], $2::bigint[]) AS u (device, at) LEFT JOIN judged j ON j.device = u.device
    ORDER BY u.device
    ON CONFLICT (device) DO UPDATE SET generation = w.generation + 1, due_at = least(w.due_at, excluded.due_at)";

/// What the rows that a transaction writes have for a version.
const VERSION: &str = "SELECT pg_current_xact_id()::xid::text::bigint";

/// Writes all of it, if the heads, in order of their numbers, are as they were read; the version they have then.
pub async fn all(line: &Line, touched: &[(&Head, &Touched)], writes: &Writes<'_>) -> Result<Version, Fault> {
    if touched.is_empty() {
        return Ok(0);
    }
    let mut batch = Batch::default();
    batch.heads(touched);
    batch.facts(writes);
    batch.happened(writes);
    batch.beside(writes);
    let version = batch.send(line, touched.len()).await?;
    let gaps: u64 = touched.iter().map(|(_, touched)| touched.gaps).sum();
    metrics::counter!("farmwatch_ingest_missing_reports_total").increment(gaps);
    Ok(version)
}

type Column<'a> = Box<dyn ToSql + Sync + Send + 'a>;

fn column<'a, T: ToSql + Sync + Send + 'a>(values: impl Iterator<Item = T>) -> Column<'a> {
    Box::new(values.collect::<Vec<T>>())
}

/// Statements with their columns; those without rows are left out.
#[derive(Default)]
struct Batch<'a> {
    statements: Vec<(&'static str, Vec<Column<'a>>)>,
}

impl<'a> Batch<'a> {
    fn heads(&mut self, touched: &[(&'a Head, &'a Touched)]) {
        let heads = || touched.iter().map(|(head, _)| *head);
        let moved = || touched.iter().map(|(_, touched)| touched.moved.as_ref());
        let mut columns = vec![
            column(heads().map(|head| head.number)),
            column(heads().map(|head| head.version)),
            column(heads().map(|head| count(head.seq))),
            column(touched.iter().map(|(_, touched)| touched.last_seen)),
            column(touched.iter().map(|(_, touched)| touched.clock_skew)),
        ];
        // All by one statement, so that they are locked at once. In which order is the plan's; where two collectors wait for each
        // other, PostgreSQL ends one of them, which then locks in order.
        let extent = touched.iter().map(|(_, touched)| touched.extent).max().unwrap_or_default();
        if extent > Extent::Beat {
            columns.push(column(heads().map(|head| head.digest.to_bytes().to_vec())));
        }
        if extent > Extent::Told {
            columns.extend([
                column(heads().map(|head| &*head.boot)),
                column(heads().map(|head| count(head.boot_from))),
                column(heads().map(|head| &*head.machine)),
                column(heads().map(|head| head.seen_day)),
                column(heads().map(|head| count(head.dropped_windows))),
                column(touched.iter().map(|(_, touched)| count(touched.gaps))),
                column(touched.iter().map(|(_, touched)| touched.moved.is_some())),
                column(moved().map(|moved| moved.and_then(|(address, _, _)| address.as_deref()))),
                column(moved().map(|moved| moved.and_then(|(_, country, _)| country.as_deref()))),
                column(moved().map(|moved| moved.and_then(|(_, _, network)| network.as_deref()))),
            ]);
        }
        let statement = match extent {
            Extent::Beat => BEATS,
            Extent::Told => TOLD,
            Extent::Wide => WIDE,
        };
        self.statements.push((statement, columns));
    }

    fn facts(&mut self, writes: &'a Writes<'a>) {
        let put: Vec<_> = writes
            .facts
            .iter()
            .filter_map(|((device, key), fact)| {
                let (digest, value) = fact.as_ref()?;
                Some((*device, key.as_ref(), digest.to_bytes(), *value))
            })
            .collect();
        if !put.is_empty() {
            let columns = vec![
                column(put.iter().map(|row| row.0)),
                column(put.iter().map(|row| row.1)),
                column(put.iter().map(|row| row.2.to_vec())),
                column(put.iter().map(|row| row.3)),
            ];
            self.statements.push((PUT_FACTS, columns));
        }
        let gone = || writes.facts.iter().filter(|(_, fact)| fact.is_none()).map(|(place, _)| place);
        if gone().next().is_some() {
            let columns =
                vec![column(gone().map(|(device, _)| *device)), column(gone().map(|(_, key)| key.as_ref()))];
            self.statements.push((REMOVE_FACTS, columns));
        }
    }

    /// Windows, transitions and the reports themselves.
    fn happened(&mut self, writes: &'a Writes<'a>) {
        if !writes.windows.is_empty() {
            let columns = vec![
                column(writes.windows.keys().map(|(device, _)| *device)),
                column(writes.windows.keys().map(|(_, start)| *start)),
                column(writes.windows.values().map(AsRef::as_ref)),
            ];
            self.statements.push((WINDOWS, columns));
        }
        if !writes.transitions.is_empty() {
            let columns = vec![
                column(writes.transitions.iter().map(|(device, _, _)| *device)),
                column(writes.transitions.iter().map(|(_, at, _)| *at)),
                column(writes.transitions.iter().map(|(_, _, kind)| *kind)),
            ];
            self.statements.push((TRANSITIONS, columns));
        }
        if !writes.sent.is_empty() {
            let columns = vec![
                column(writes.sent.keys().map(|(device, _)| *device)),
                column(writes.sent.keys().map(|(_, seq)| count(*seq))),
                column(writes.sent.values().map(|(received, _)| *received)),
                column(writes.sent.values().map(|(_, report)| *report)),
            ];
            self.statements.push((SENT, columns));
        }
    }

    /// Boots that ended, round trips, names, work.
    fn beside(&mut self, writes: &'a Writes<'a>) {
        if !writes.boots.is_empty() {
            let columns = vec![
                column(writes.boots.keys().map(|(device, _, _)| *device)),
                column(writes.boots.keys().map(|(_, boot, _)| &**boot)),
                column(writes.boots.keys().map(|(_, _, from)| count(*from))),
                column(writes.boots.values().map(|(to, _)| count(*to))),
                column(writes.boots.values().map(|(_, ended)| *ended)),
            ];
            self.statements.push((BOOTS, columns));
        }
        if !writes.rtts.is_empty() {
            let columns = vec![
                column(writes.rtts.keys().map(|(device, _)| *device)),
                column(writes.rtts.keys().map(|(_, day)| *day)),
                column(writes.rtts.values().copied()),
            ];
            self.statements.push((ROUND_TRIPS, columns));
        }
        if writes.names.values().any(|(_, _, serial)| serial.is_some()) {
            self.statements.push((locks::HOLD, vec![Box::new(locks::SERIALS)]));
        }
        if !writes.names.is_empty() {
            let columns = vec![
                column(writes.names.keys().copied()),
                column(writes.names.values().map(|(hostname, _, _)| hostname.as_str())),
                column(writes.names.values().map(|(_, os, _)| os.as_str())),
                column(writes.names.values().map(|(_, _, serial)| serial.as_deref())),
            ];
            self.statements.push((NAMES, columns));
        }
        if !writes.work.is_empty() {
            let columns = vec![column(writes.work.keys().copied()), column(writes.work.values().copied())];
            self.statements.push((WORK, columns));
        }
        if !writes.work_later.is_empty() {
            let columns: Vec<Column<'_>> = vec![
                column(writes.work_later.keys().copied()),
                column(writes.work_later.values().copied()),
                Box::new(millis(WINDOWS_WAIT_IN_DOUBT)),
                Box::new(millis(WINDOWS_WAIT)),
            ];
            self.statements.push((WORK_LATER, columns));
        }
    }

    /// Sends all of it; `heads` is how many rows the first statement is to find.
    async fn send(&self, line: &Line, heads: usize) -> Result<Version, Fault> {
        let texts: Vec<&str> = self.statements.iter().map(|(sql, _)| *sql).chain([VERSION]).collect();
        line.prepare(&texts).await?;
        let values: Vec<Vec<&(dyn ToSql + Sync)>> = self
            .statements
            .iter()
            .map(|(_, columns)| columns.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect())
            .collect();
        let sent = self.statements.iter().zip(&values).map(|((sql, _), values)| line.change(sql, values));
        let (changed, version) = try_join!(try_join_all(sent), line.row(VERSION, &[]))?;
        if changed.first().is_none_or(|rows| usize::try_from(*rows) != Ok(heads)) {
            return Err(Fault::stale());
        }
        let version = version.ok_or_else(|| StoreError::Corrupt("a transaction without an id".into()))?;
        heads::version(&version, 0)
    }
}
