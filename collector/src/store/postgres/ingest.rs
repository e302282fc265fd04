//! Taking a group of reports in one transaction: two round trips, however many they are, and one more where some have
//! facts.
//!
//! What devices are like is remembered ([`super::memory`]), and what is remembered is put to the test by the statement that
//! writes the heads: where somebody else has written to one of them meanwhile, nothing of the group is kept, and it is
//! taken anew with the heads read and locked, in order of their numbers, so that collectors that take reports of the
//! same devices take turns and never wait in a ring. What the group touches beside heads is read as it is needed. Then
//! [`fold`] says what is to be written, which is one statement a table.

use std::collections::BTreeSet;

use farmwatch_shared::report::Report;
use futures_util::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::Receipt;
use super::super::convert::uncount;
use super::super::prepared::{Fact, Prepared};
use super::super::room;
use super::devices::digest;
use super::fault::Fault;
use super::fold::{self, Known, Writes};
use super::heads::{self, Head, Version};
use super::line::{Line, Values, get};
use super::memory::{Memory, Place};
use super::{ear, write};

// each by primary key
const SOME_FACTS: &str =
    "SELECT f.device, f.key, f.digest FROM unnest($1::bigint[], $2::text[]) AS k (device, key)
    JOIN fact f ON f.device = k.device AND f.key = k.key";
const ALL_FACTS: &str = "SELECT device, key, digest FROM fact WHERE device = ANY($1)";
const WINDOWS: &str = r#"SELECT w.device, w.start, w.value FROM unnest($1::bigint[], $2::bigint[]) AS k (device, start)
    JOIN "window" w ON w.device = k.device AND w.start = k.start"#;
const SIZES: &str = "SELECT device, key, octet_length(value)::bigint FROM fact WHERE device = ANY($1)";
const BOOTS: &str = "SELECT device, boot, seq_from, seq_to FROM boot WHERE device = ANY($1)";

/// How a group is taken.
#[derive(Clone, Copy)]
pub struct Manner {
    /// Other collectors are told of work.
    pub ring: bool,
    /// Nothing is remembered, and heads are locked before they are read: others are writing to the same devices.
    pub locked: bool,
}

/// Takes the reports of several calls; the receipts of each call, and whether there is work for those who judge.
pub async fn take(
    mut line: Line,
    calls: &[&[Prepared]],
    memory: &mut Memory,
    manner: Manner,
) -> Result<(Vec<Vec<Receipt>>, bool), Fault> {
    memory.begin(line.connected());
    line.prepare(&[heads::LOCK, heads::READ, SOME_FACTS, ALL_FACTS, WINDOWS]).await?;
    line.begin_with_next();
    let taken = take_in(&line, calls, memory, manner).await;
    let (taken, version) = line.end(taken).await.inspect_err(|fault| {
        if fault.stale {
            memory.was_wrong();
        }
    })?;
    memory.keep(version);
    Ok(taken)
}

async fn take_in(
    line: &Line,
    calls: &[&[Prepared]],
    memory: &mut Memory,
    manner: Manner,
) -> Result<((Vec<Vec<Receipt>>, bool), Version), Fault> {
    let places = find(line, calls, memory, manner.locked).await?;
    let mut known = read(line, calls, memory, &places).await?;
    let mut writes = Writes::default();
    let mut places = places.as_slice();
    let receipts = calls.iter().map(|reports| {
        let (own, others) = places.split_at(reports.len());
        places = others;
        fold::take_all(memory, &mut known, &mut writes, reports, own)
    });
    let receipts = receipts.collect::<Result<Vec<_>, _>>()?;
    let Some(heads) = memory.touched() else { return Err(Fault::again("a device's facts are too many")) };
    let version = write::all(line, &heads, &writes).await?;
    let work = !writes.work.is_empty();
    if work && manner.ring {
        line.say(ear::RING).await?;
    }
    Ok(((receipts, work), version))
}

/// Finds the devices of a group, by memory or by reading: for each report, where its device's head is.
async fn find(
    line: &Line,
    calls: &[&[Prepared]],
    memory: &mut Memory,
    locked: bool,
) -> Result<Vec<Option<Place>>, Fault> {
    let reports = || calls.iter().flat_map(|reports| reports.iter()).map(|prepared| &prepared.arrival.report);
    let mut recall = |report: &Report| memory.recall(report.device.as_str(), report, locked);
    let mut places: Vec<Option<Place>> = reports().map(&mut recall).collect();
    let missing = reports().zip(&places).filter(|(_, place)| place.is_none());
    let missing: BTreeSet<&str> = missing.map(|(report, _)| report.device.as_str()).collect();
    if missing.is_empty() {
        return Ok(places);
    }
    let ids: Vec<&str> = missing.into_iter().collect();
    let ids: [Value<'_>; 1] = [&ids];
    let locks = rows_if(locked, line, heads::LOCK, &ids);
    let (_, rows) = try_join!(locks, line.rows(heads::READ, &ids))?;
    for row in &rows {
        memory.put(get(row, 0)?, Head::of(row)?);
    }
    for (report, place) in reports().zip(&mut places).filter(|(_, place)| place.is_none()) {
        *place = memory.recall(report.device.as_str(), report, true);
    }
    Ok(places)
}

/// Reads what a group may change or is judged by, beside heads.
async fn read<'a>(
    line: &Line,
    calls: &[&'a [Prepared]],
    memory: &Memory,
    places: &[Option<Place>],
) -> Result<Known<'a>, Fault> {
    let reports = calls.iter().flat_map(|reports| reports.iter()).zip(places);
    let found = reports.filter_map(|(prepared, place)| Some((memory.at((*place)?), prepared)));
    let found: Vec<(&Head, &'a Prepared)> = found.collect();
    let mut known = Known::default();
    Box::pin(read_touched(line, &found, &mut known)).await?;
    sizes(line, &found, &mut known).await?;
    boots(line, &found, &mut known).await?;
    Ok(known)
}

/// Reads facts and windows that the reports may change, all at once. Facts that are remembered are not, and windows that are
/// newer than all are not looked for.
async fn read_touched<'a>(
    line: &Line,
    found: &[(&Head, &'a Prepared)],
    known: &mut Known<'a>,
) -> Result<(), Fault> {
    let (mut whole, mut keys, mut starts) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for (head, prepared) in found {
        if prepared.arrival.report.whole {
            whole.insert(head.number);
        }
        for key in prepared.set.iter().map(|fact| &fact.key).chain(&prepared.gone) {
            match head.fact(key) {
                Some(digest) => {
                    known.facts.entry(head.number).or_default().insert(key.as_str().into(), digest);
                }
                None => keys.push((head.number, key.as_str())),
            }
        }
        let known_starts = prepared.windows.iter().map(|(start, _)| *start);
        starts.extend(
            known_starts.filter(|start| *start <= head.newest_window).map(|start| (head.number, start)),
        );
    }
    keys.retain(|(device, _)| !whole.contains(device));
    keys.sort_unstable();
    keys.dedup();
    let whole: Vec<i64> = whole.into_iter().collect();
    let (key_devices, keys): (Vec<i64>, Vec<&str>) = keys.into_iter().unzip();
    let (start_devices, starts): (Vec<i64>, Vec<i64>) = starts.into_iter().unzip();
    let (some, all, windows): ([Value<'_>; 2], [Value<'_>; 1], [Value<'_>; 2]) =
        ([&key_devices, &keys], [&whole], [&start_devices, &starts]);
    let (some, all, windows) = try_join!(
        rows_if(!keys.is_empty(), line, SOME_FACTS, &some),
        rows_if(!whole.is_empty(), line, ALL_FACTS, &all),
        rows_if(!starts.is_empty(), line, WINDOWS, &windows),
    )?;
    for row in some.iter().chain(&all) {
        let key: String = get(row, 1)?;
        known.facts.entry(get(row, 0)?).or_default().insert(key.into(), digest(row, 2)?);
    }
    for row in &windows {
        known.windows.insert((get(row, 0)?, get(row, 1)?), get(row, 2)?);
    }
    Ok(())
}

type Value<'a> = &'a (dyn ToSql + Sync);

async fn rows_if(wanted: bool, line: &Line, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
    if wanted { line.rows(sql, values).await } else { Ok(Vec::new()) }
}

/// Reads how large the facts are of those devices that have new ones, or large ones: few of a group.
async fn sizes(line: &Line, found: &[(&Head, &Prepared)], known: &mut Known<'_>) -> Result<(), Fault> {
    let full = found.iter().filter_map(|(head, prepared)| {
        let number = head.number;
        let facts = known.facts.get(&number);
        let is_new = |fact: &Fact| facts.is_none_or(|facts| !facts.contains_key(fact.key.as_str()));
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
async fn boots(line: &Line, found: &[(&Head, &Prepared)], known: &mut Known<'_>) -> Result<(), Fault> {
    let again = found.iter().filter(|(head, prepared)| head.last().may_come_again(&prepared.arrival.report));
    let again = again.map(|(head, _)| head.number);
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
