//! What a group of reports comes to, written: one statement a table, all sent at once.

use futures_util::future::try_join_all;
use tokio_postgres::types::ToSql;

use super::super::WINDOWS_WAIT;
use super::super::convert::{count, millis};
use super::super::work::WINDOWS_WAIT_IN_DOUBT;
use super::fault::Fault;
use super::fold::{Head, Touched, Writes};
use super::line::Line;
use super::locks;

const BEATS: &str = "UPDATE head h SET seq = b.seq, last_seen = b.last_seen, clock_skew = b.clock_skew
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS b (device, seq, last_seen, clock_skew)
    WHERE h.device = b.device";
const WIDE: &str = "UPDATE head h SET boot = b.boot, boot_from = b.boot_from, machine = b.machine, digest = b.digest,
        seen_day = b.seen_day, dropped_windows = b.dropped_windows, gaps = h.gaps + b.gaps, seq = b.seq,
        last_seen = b.last_seen, clock_skew = b.clock_skew
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::bytea[],
        $9::bigint[], $10::bigint[], $11::bigint[])
        AS b (device, seq, last_seen, clock_skew, boot, boot_from, machine, digest, seen_day, dropped_windows, gaps)
    WHERE h.device = b.device";
const MOVED: &str = "UPDATE head h SET address = b.address, country = b.country, network = b.network
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS b (device, address, country, network)
    WHERE h.device = b.device";
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

/// Writes all of it, within the transaction that holds the heads.
pub async fn all(line: &Line, heads: impl Iterator<Item = &Head>, writes: &Writes) -> Result<(), Fault> {
    let mut touched: Vec<(&Head, &Touched)> =
        heads.filter_map(|head| Some((head, head.touched.as_ref()?))).collect();
    touched.sort_by_key(|(head, _)| head.number);
    let mut batch = Batch::default();
    batch.heads(&touched);
    batch.facts(writes);
    batch.happened(writes);
    batch.beside(writes);
    if writes.names.values().any(|(_, _, serial)| serial.is_some()) {
        locks::hold(line, locks::SERIALS).await?;
    }
    batch.send(line).await?;
    let gaps: u64 = touched.iter().map(|(_, touched)| touched.gaps).sum();
    metrics::counter!("farmwatch_ingest_missing_reports_total").increment(gaps);
    Ok(())
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
        let (beats, more): (Vec<_>, Vec<_>) = touched.iter().copied().partition(|(_, touched)| !touched.wide);
        let beat = |rows: &[(&'a Head, &'a Touched)]| {
            vec![
                column(rows.iter().map(|(head, _)| head.number)),
                column(rows.iter().map(|(head, _)| count(head.seq))),
                column(rows.iter().map(|(_, touched)| touched.last_seen)),
                column(rows.iter().map(|(_, touched)| touched.clock_skew)),
            ]
        };
        if !beats.is_empty() {
            self.statements.push((BEATS, beat(&beats)));
        }
        if !more.is_empty() {
            let mut columns = beat(&more);
            columns.extend([
                column(more.iter().map(|(head, _)| head.boot.as_str())),
                column(more.iter().map(|(head, _)| count(head.boot_from))),
                column(more.iter().map(|(head, _)| head.machine.as_str())),
                column(more.iter().map(|(head, _)| head.digest.to_bytes().to_vec())),
                column(more.iter().map(|(head, _)| head.seen_day)),
                column(more.iter().map(|(head, _)| count(head.dropped_windows))),
                column(more.iter().map(|(_, touched)| count(touched.gaps))),
            ]);
            self.statements.push((WIDE, columns));
        }
        let moved = touched.iter().filter_map(|(head, touched)| Some((head.number, touched.moved.as_ref()?)));
        let moved: Vec<_> = moved.collect();
        if !moved.is_empty() {
            let columns = vec![
                column(moved.iter().map(|(device, _)| *device)),
                column(moved.iter().map(|(_, (address, _, _))| address.as_deref())),
                column(moved.iter().map(|(_, (_, country, _))| country.as_deref())),
                column(moved.iter().map(|(_, (_, _, network))| network.as_deref())),
            ];
            self.statements.push((MOVED, columns));
        }
    }

    fn facts(&mut self, writes: &'a Writes) {
        let put: Vec<_> = writes
            .facts
            .iter()
            .filter_map(|((device, key), fact)| {
                let (digest, value) = fact.as_ref()?;
                Some((*device, key.as_str(), digest.to_bytes(), value.as_str()))
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
                vec![column(gone().map(|(device, _)| *device)), column(gone().map(|(_, key)| key.as_str()))];
            self.statements.push((REMOVE_FACTS, columns));
        }
    }

    /// Windows, transitions and the reports themselves.
    fn happened(&mut self, writes: &'a Writes) {
        if !writes.windows.is_empty() {
            let columns = vec![
                column(writes.windows.keys().map(|(device, _)| *device)),
                column(writes.windows.keys().map(|(_, start)| *start)),
                column(writes.windows.values().map(String::as_str)),
            ];
            self.statements.push((WINDOWS, columns));
        }
        if !writes.transitions.is_empty() {
            let columns = vec![
                column(writes.transitions.iter().map(|(device, _, _)| *device)),
                column(writes.transitions.iter().map(|(_, at, _)| *at)),
                column(writes.transitions.iter().map(|(_, _, kind)| kind.as_str())),
            ];
            self.statements.push((TRANSITIONS, columns));
        }
        if !writes.sent.is_empty() {
            let columns = vec![
                column(writes.sent.keys().map(|(device, _)| *device)),
                column(writes.sent.keys().map(|(_, seq)| count(*seq))),
                column(writes.sent.values().map(|(received, _)| *received)),
                column(writes.sent.values().map(|(_, report)| report.as_slice())),
            ];
            self.statements.push((SENT, columns));
        }
    }

    /// Boots that ended, round trips, names, work.
    fn beside(&mut self, writes: &'a Writes) {
        if !writes.boots.is_empty() {
            let columns = vec![
                column(writes.boots.keys().map(|(device, _, _)| *device)),
                column(writes.boots.keys().map(|(_, boot, _)| boot.as_str())),
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

    async fn send(&self, line: &Line) -> Result<(), Fault> {
        let texts: Vec<&str> = self.statements.iter().map(|(sql, _)| *sql).collect();
        line.prepare(&texts).await?;
        let values: Vec<Vec<&(dyn ToSql + Sync)>> = self
            .statements
            .iter()
            .map(|(_, columns)| columns.iter().map(|column| &**column as &(dyn ToSql + Sync)).collect())
            .collect();
        let sent = self.statements.iter().zip(&values).map(|((sql, _), values)| line.change(sql, values));
        try_join_all(sent).await.map(|_| ())
    }
}
