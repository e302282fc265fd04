//! Facts of devices: one row each.
//!
//! Values are stored with their hashes hashed again, but the digest is over what the agent sent. So each row
//! keeps what its fact added to the digest as it was sent, and the sum follows every change without the
//! values.

use std::collections::BTreeMap;

use farmwatch_shared::state::{Digest, FactKey, State};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::super::prepared::Fact;
use super::super::{Result, room};
use super::convert::{from_json, id};

/// What writing facts came to.
pub struct Written {
    /// The digest of all of the device's facts, after.
    pub digest: Digest,
    /// Keys of facts that are new, different, or gone.
    pub changed: Vec<String>,
}

/// Applies a change to a device's facts; or says why there is no room for it. `before` is the digest of them so far.
pub fn apply(
    conn: &Connection,
    device: i64,
    before: Digest,
    set: &[Fact],
    gone: &[String],
) -> Result<Result<Written, String>> {
    // primary key
    let mut statement = conn.prepare_cached("SELECT digest FROM fact WHERE device = ?1 AND key = ?2")?;
    let mut find = |fact: &Fact| {
        statement.query_row(params![device, fact.key], |row| row.get(0).map(Digest::from_bytes)).optional()
    };
    let old = set.iter().map(&mut find).collect::<rusqlite::Result<Vec<Option<Digest>>>>()?;
    if room::may_overflow(set, old.contains(&None))
        && let Err(why) = room::after(sizes(conn, device)?, set, gone)
    {
        return Ok(Err(why));
    }
    let mut written = Written { digest: before, changed: Vec::new() };
    for key in gone {
        remove(conn, device, key, &mut written)?;
    }
    for (fact, old) in set.iter().zip(old) {
        // What the report says is gone and there again has no digest left to take off.
        let old = old.filter(|_| !gone.contains(&fact.key));
        put(conn, device, fact, old, &mut written)?;
    }
    Ok(Ok(written))
}

/// Bytes of a device's facts.
fn sizes(conn: &Connection, device: i64) -> Result<room::Sizes> {
    // primary key; the length alone needs no look at the value
    let mut statement = conn.prepare_cached("SELECT key, octet_length(value) FROM fact WHERE device = ?1")?;
    let rows = statement.query_map([device], |row| Ok((row.get(0)?, row.get::<_, u32>(1)? as usize)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Replaces a device's facts. What is stored already is not written again.
pub fn replace(conn: &Connection, device: i64, set: &[Fact]) -> Result<Written> {
    // primary key
    let mut statement = conn.prepare_cached("SELECT key, digest FROM fact WHERE device = ?1")?;
    let rows = statement
        .query_map([device], |row| Ok((row.get::<_, String>(0)?, Digest::from_bytes(row.get(1)?))))?;
    let mut old = rows.collect::<rusqlite::Result<BTreeMap<_, _>>>()?;
    // The sum is taken anew, so a whole state mends whatever had drifted.
    let digest = old.values().fold(Digest::default(), |sum, digest| sum.plus(*digest));
    let mut written = Written { digest, changed: Vec::new() };
    for fact in set {
        let old = old.remove(&fact.key);
        put(conn, device, fact, old, &mut written)?;
    }
    for key in old.into_keys() {
        remove(conn, device, &key, &mut written)?;
    }
    Ok(written)
}

fn put(
    conn: &Connection,
    device: i64,
    fact: &Fact,
    old: Option<Digest>,
    written: &mut Written,
) -> Result<()> {
    if old == Some(fact.digest) {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO fact (device, key, digest, value) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET digest = ?3, value = ?4",
    )?
    .execute(params![device, fact.key, fact.digest.to_bytes(), fact.value])?;
    written.digest = written.digest.minus(old.unwrap_or_default()).plus(fact.digest);
    written.changed.push(fact.key.clone());
    Ok(())
}

fn remove(conn: &Connection, device: i64, key: &str, written: &mut Written) -> Result<()> {
    let old = conn
        .prepare_cached("DELETE FROM fact WHERE device = ?1 AND key = ?2 RETURNING digest")?
        .query_row(params![device, key], |row| row.get(0).map(Digest::from_bytes))
        .optional()?;
    if let Some(old) = old {
        written.digest = written.digest.minus(old);
        written.changed.push(key.to_owned());
    }
    Ok(())
}

/// One of a device's facts.
pub fn one(conn: &Connection, device: i64, key: &FactKey) -> Result<Option<Value>> {
    // primary key
    let mut statement = conn.prepare_cached("SELECT value FROM fact WHERE device = ?1 AND key = ?2")?;
    let text: Option<String> =
        statement.query_row(params![device, key.as_str()], |row| row.get(0)).optional()?;
    text.map(|text| from_json(&text)).transpose()
}

/// A device's facts.
pub fn state(conn: &Connection, device: i64) -> Result<State> {
    // primary key
    let mut statement = conn.prepare_cached("SELECT key, value FROM fact WHERE device = ?1")?;
    let mut rows = statement.query([device])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        facts.push((id(row.get(0)?)?, row.get(1)?));
    }
    Ok(State::of_texts(facts))
}
