//! Taking a group of reports in one transaction: three round trips, however many they are, and one more where some have
//! facts that are new.
//!
//! First the devices' heads are locked, in order of their numbers, so that collectors that take reports of the same
//! devices take turns and never wait in a ring; in the same round trip what the group touches is read. Then [`fold`]
//! says what is to be written, which is one statement a table.

use std::collections::BTreeSet;

use futures_util::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::convert::{from_word, uncount};
use super::super::prepared::{Fact, Prepared, fingerprint};
use super::super::room;
use super::super::{Receipt, Standing};
use super::devices::digest;
use super::fault::Fault;
use super::fold::{self, Head, Known, Writes};
use super::line::{Line, Values, get};
use super::{ear, write};

// device by its UNIQUE id, head and rtt by primary key
const HEADS: &str =
    "SELECT d.id, d.number, d.standing, h.machine, h.boot, h.boot_from, h.seq, h.digest, h.seen_day, h.address,
        h.country, h.network, h.dropped_windows, r.day, r.ms, d.serial IS NULL
    FROM device d JOIN head h ON h.device = d.number LEFT JOIN rtt r ON r.device = d.number AND r.day = h.seen_day
    WHERE d.id = ANY($1) ORDER BY d.number FOR UPDATE OF h";
// each by primary key
const SOME_FACTS: &str = "SELECT f.device, f.key, f.digest FROM unnest($1::text[], $2::text[]) AS k (id, key)
    JOIN device d ON d.id = k.id JOIN fact f ON f.device = d.number AND f.key = k.key";
const ALL_FACTS: &str = "SELECT f.device, f.key, f.digest FROM device d JOIN fact f ON f.device = d.number
    WHERE d.id = ANY($1)";
const WINDOWS: &str = r#"SELECT w.device, w.start, w.value FROM unnest($1::text[], $2::bigint[]) AS k (id, start)
    JOIN device d ON d.id = k.id JOIN "window" w ON w.device = d.number AND w.start = k.start"#;
const SIZES: &str = "SELECT device, key, octet_length(value)::bigint FROM fact WHERE device = ANY($1)";
const BOOTS: &str = "SELECT device, boot, seq_from, seq_to FROM boot WHERE device = ANY($1)";

/// Takes the reports of several calls; the receipts of each call, and whether there is work for those who judge. With
/// `ring`, other collectors hear of it too.
pub async fn take(
    mut line: Line,
    calls: &[&[Prepared]],
    ring: bool,
) -> Result<(Vec<Vec<Receipt>>, bool), Fault> {
    line.prepare(&[HEADS, SOME_FACTS, ALL_FACTS, WINDOWS]).await?;
    line.opened();
    let taken = take_in(&line, calls, ring).await;
    line.end(taken).await
}

async fn take_in(line: &Line, calls: &[&[Prepared]], ring: bool) -> Result<(Vec<Vec<Receipt>>, bool), Fault> {
    let mut known = read(line, calls).await?;
    let mut writes = Writes::default();
    let receipts = calls.iter().map(|reports| fold::take_all(&mut known, &mut writes, reports));
    let receipts = receipts.collect::<Result<Vec<_>, _>>()?;
    write::all(line, known.heads.values(), &writes).await?;
    let work = !writes.work.is_empty();
    if work && ring {
        line.say(ear::RING).await?;
    }
    Ok((receipts, work))
}

/// What the reports touch. All of it is asked for at once; the server answers in order, so what follows the heads is as
/// it stands once they are locked.
async fn read(line: &Line, calls: &[&[Prepared]]) -> Result<Known, Fault> {
    let reports = || calls.iter().flat_map(|reports| reports.iter());
    let ids: BTreeSet<&str> = reports().map(|p| p.arrival.report.device.as_str()).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let whole: BTreeSet<&str> =
        reports().filter(|p| p.arrival.report.whole).map(|p| p.arrival.report.device.as_str()).collect();
    let mut keys: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut starts: BTreeSet<(&str, i64)> = BTreeSet::new();
    for prepared in reports() {
        let device = prepared.arrival.report.device.as_str();
        if !whole.contains(device) {
            let named = prepared.set.iter().map(|fact| &fact.key).chain(&prepared.gone);
            keys.extend(named.map(|key| (device, key.as_str())));
        }
        starts.extend(prepared.windows.iter().map(|(start, _)| (device, *start)));
    }
    let whole: Vec<&str> = whole.into_iter().collect();
    let (key_ids, keys): (Vec<&str>, Vec<&str>) = keys.into_iter().unzip();
    let (start_ids, starts): (Vec<&str>, Vec<i64>) = starts.into_iter().unzip();
    let (heads, some, all): ([Value<'_>; 1], [Value<'_>; 2], [Value<'_>; 1]) =
        ([&ids], [&key_ids, &keys], [&whole]);
    let windows: [Value<'_>; 2] = [&start_ids, &starts];
    let ((), heads, some, all, windows) = try_join!(
        line.say("BEGIN"),
        line.rows(HEADS, &heads),
        rows_if(!keys.is_empty(), line, SOME_FACTS, &some),
        rows_if(!whole.is_empty(), line, ALL_FACTS, &all),
        rows_if(!starts.is_empty(), line, WINDOWS, &windows),
    )?;
    let mut known = Known::default();
    for row in &heads {
        known.heads.insert(get(row, 0)?, head(row)?);
    }
    for row in some.iter().chain(&all) {
        known.facts.entry(get(row, 0)?).or_default().insert(get(row, 1)?, digest(row, 2)?);
    }
    for row in &windows {
        known.windows.insert((get(row, 0)?, get(row, 1)?), get(row, 2)?);
    }
    sizes(line, calls, &mut known).await?;
    boots(line, calls, &mut known).await?;
    Ok(known)
}

type Value<'a> = &'a (dyn ToSql + Sync);

async fn rows_if(wanted: bool, line: &Line, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
    if wanted { line.rows(sql, values).await } else { Ok(Vec::new()) }
}

/// Reads how large the facts are of those devices that have new ones, or large ones: few of a group.
async fn sizes(line: &Line, calls: &[&[Prepared]], known: &mut Known) -> Result<(), Fault> {
    let full = calls.iter().flat_map(|reports| reports.iter()).filter_map(|prepared| {
        let number = known.heads.get(prepared.arrival.report.device.as_str())?.number;
        let facts = known.facts.get(&number);
        let is_new = |fact: &Fact| facts.is_none_or(|facts| !facts.contains_key(&fact.key));
        room::may_overflow(&prepared.set, prepared.set.iter().any(is_new)).then_some(number)
    });
    let full: BTreeSet<i64> = full.collect();
    if full.is_empty() {
        return Ok(());
    }
    known.sizes = full.iter().map(|number| (*number, room::Sizes::new())).collect();
    for row in &line.rows(SIZES, &[&full.into_iter().collect::<Vec<_>>()]).await? {
        let bytes = usize::try_from(get::<i64>(row, 2)?).unwrap_or(usize::MAX);
        known.sizes.entry(get(row, 0)?).or_default().insert(get(row, 1)?, bytes);
    }
    Ok(())
}

/// Reads earlier boots of those devices of which something may come again: seldom any.
async fn boots(line: &Line, calls: &[&[Prepared]], known: &mut Known) -> Result<(), Fault> {
    let reports = calls.iter().flat_map(|reports| reports.iter()).map(|prepared| &prepared.arrival.report);
    let again = reports.filter_map(|report| {
        let head = known.heads.get(report.device.as_str())?;
        fold::may_come_again(head, report).then_some(head.number)
    });
    let again: BTreeSet<i64> = again.collect();
    if again.is_empty() {
        return Ok(());
    }
    for row in &line.rows(BOOTS, &[&again.into_iter().collect::<Vec<_>>()]).await? {
        let boot = (get(row, 1)?, uncount(get(row, 2)?), uncount(get(row, 3)?));
        known.boots.entry(get(row, 0)?).or_default().push(boot);
    }
    Ok(())
}

fn head(row: &Row) -> Result<Head, Fault> {
    let standing: Standing = from_word(get(row, 2)?)?;
    Ok(Head {
        number: get(row, 1)?,
        revoked: standing == Standing::Revoked,
        machine: get(row, 3)?,
        boot: get(row, 4)?,
        boot_from: uncount(get(row, 5)?),
        seq: uncount(get(row, 6)?),
        digest: digest(row, 7)?,
        seen_day: get(row, 8)?,
        origin: fingerprint(get(row, 9)?, get(row, 10)?, get(row, 11)?),
        dropped_windows: uncount(get(row, 12)?),
        rtt: (get::<Option<i64>>(row, 13)?.unwrap_or(-1), get::<Option<i64>>(row, 14)?.unwrap_or(i64::MAX)),
        without_serial: get(row, 15)?,
        touched: None,
    })
}
