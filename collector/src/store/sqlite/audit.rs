use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::{Audit, AuditEntry, NewAudit, Page, Result, StoreError};
use super::Sqlite;
use super::convert::{ms, time, uncount};

/// Adds an entry, chained to the one before.
pub fn add(conn: &Connection, entry: &NewAudit) -> Result<()> {
    // primary key, from its end
    let last: Option<(i64, String)> = conn
        .prepare_cached("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (number, before) = last.unwrap_or_default();
    let entry = entry.as_kept()?;
    conn.prepare_cached(
        "INSERT INTO audit (number, at, actor, action, object, why, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        number + 1,
        ms(entry.at),
        entry.actor,
        entry.action,
        entry.object,
        entry.why,
        entry.chained(&before)?
    ])?;
    Ok(())
}

/// Entries of an action by an actor since a time; index audit_actor.
pub fn count(conn: &Connection, action: &str, actor: &str, since: Timestamp) -> Result<u64> {
    let mut statement =
        conn.prepare_cached("SELECT count(*) FROM audit WHERE actor = ?1 AND action = ?2 AND at >= ?3")?;
    Ok(uncount(statement.query_row(params![actor, action, ms(since)], |row| row.get(0))?))
}

fn entry(row: &Row<'_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        number: row.get(0)?,
        entry: NewAudit {
            at: time(row.get(1)?)?,
            actor: row.get(2)?,
            action: row.get(3)?,
            object: row.get(4)?,
            why: row.get(5)?,
        },
        hash: row.get(6)?,
    })
}

const ENTRY: &str = "SELECT number, at, actor, action, object, why, hash FROM audit";

/// Entries with numbers below one, newest first: all of them, or those about an object.
pub fn about(conn: &Connection, object: Option<&str>, before: i64, limit: u32) -> Result<Vec<AuditEntry>> {
    // primary key; with an object index audit_object
    let about = if object.is_some() { "AND object = ?3" } else { "AND ?3 IS NULL" };
    let query = format!("{ENTRY} WHERE number < ?1 {about} ORDER BY number DESC LIMIT ?2");
    let mut statement = conn.prepare_cached(&query)?;
    let mut rows = statement.query(params![before, limit, object])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(entries)
}

#[async_trait]
impl Audit for Sqlite {
    async fn audit(&self, entry: NewAudit) -> Result<()> {
        self.write(move |hand| add(&hand.conn, &entry)).await
    }

    async fn audit_entries(&self, object: Option<&str>, page: &Page) -> Result<Vec<AuditEntry>> {
        let object = object.map(str::to_owned);
        let before = match &page.after {
            None => i64::MAX,
            Some(number) => number
                .parse()
                .map_err(|_| StoreError::Conflict(format!("`{number}` is no number of an audit entry")))?,
        };
        let limit = page.limit;
        self.read(move |conn| about(conn, object.as_deref(), before, limit)).await
    }

    async fn audit_count(&self, action: &str, actor: &str, since: Timestamp) -> Result<u64> {
        let (action, actor) = (action.to_owned(), actor.to_owned());
        self.read(move |conn| count(conn, &action, &actor, since)).await
    }

    async fn audit_check(&self) -> Result<Option<i64>> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(&format!("{ENTRY} ORDER BY number"))?;
            let mut rows = statement.query([])?;
            let (mut number, mut before) = (0, String::new());
            while let Some(row) = rows.next()? {
                number += 1;
                let stored = entry(row)?;
                if stored.number != number || stored.hash != stored.entry.chained(&before)? {
                    return Ok(Some(number));
                }
                before = stored.hash;
            }
            Ok(None)
        })
        .await
    }
}
