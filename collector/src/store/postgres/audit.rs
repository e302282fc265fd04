use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::super::convert::{ms, plain, time, uncount};
use super::super::{Audit, AuditEntry, NewAudit, Page, Result, StoreError};
use super::Postgres;
use super::fault::Fault;
use super::line::{Line, get};

/// Entries read at once when the chain is walked.
const CHECK_AT_ONCE: i64 = 10_000;

/// Adds an entry, chained to the one before. The transaction holds [`super::locks::IN_ORDER`], so nobody else adds one
/// meanwhile.
pub async fn add(line: &Line, entry: &NewAudit) -> Result<(), Fault> {
    // primary key, from its end
    let last = line.row("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1", &[]).await?;
    let (number, before): (i64, String) = match &last {
        Some(row) => (get(row, 0)?, get(row, 1)?),
        None => (0, String::new()),
    };
    let entry = entry.as_kept()?;
    line.change(
        "INSERT INTO audit (number, at, actor, action, object, why, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &(number + 1),
            &ms(entry.at),
            &entry.actor,
            &entry.action,
            &entry.object,
            &entry.why,
            &entry.chained(&before)?,
        ],
    )
    .await?;
    Ok(())
}

/// Entries of an action by any of several actors since a time; index audit_actor. An actor that is named twice counts
/// twice.
pub async fn count(line: &Line, action: &str, actors: &[String], since: Timestamp) -> Result<u64, Fault> {
    let actors: Vec<String> = actors.iter().map(|actor| plain(actor)).collect();
    let query = "SELECT count(*) FROM unnest($1::text[]) AS who (actor) JOIN audit a ON a.actor = who.actor
         WHERE a.action = $2 AND a.at >= $3";
    let row = line.row(query, &[&actors, &action, &ms(since)]).await?;
    Ok(uncount(row.as_ref().map_or(Ok(0), |row| get(row, 0))?))
}

fn entry(row: &Row) -> Result<AuditEntry, Fault> {
    Ok(AuditEntry {
        number: get(row, 0)?,
        entry: NewAudit {
            at: time(get(row, 1)?)?,
            actor: get(row, 2)?,
            action: get(row, 3)?,
            object: get(row, 4)?,
            why: get(row, 5)?,
        },
        hash: get(row, 6)?,
    })
}

const ENTRY: &str = "SELECT number, at, actor, action, object, why, hash FROM audit";

/// Entries about an object with numbers below one, newest first; index audit_object.
pub async fn about(line: &Line, object: &str, before: i64, limit: u32) -> Result<Vec<AuditEntry>, Fault> {
    let query = format!("{ENTRY} WHERE object = $3 AND number < $1 ORDER BY number DESC LIMIT $2");
    let rows = line.rows(&query, &[&before, &i64::from(limit), &plain(object)]).await?;
    rows.iter().map(entry).collect()
}

#[async_trait]
impl Audit for Postgres {
    async fn audit(&self, entry: NewAudit) -> Result<()> {
        self.apply_changes(vec![super::super::Change::Audit(entry)]).await
    }

    async fn audit_entries(&self, object: Option<&str>, page: &Page) -> Result<Vec<AuditEntry>> {
        let before = match &page.after {
            None => i64::MAX,
            Some(number) => number
                .parse()
                .map_err(|_| StoreError::Conflict(format!("`{number}` is no number of an audit entry")))?,
        };
        let line = self.line().await?;
        if let Some(object) = object {
            return Ok(about(&line, object, before, page.limit).await?);
        }
        // primary key
        let query = format!("{ENTRY} WHERE number < $1 ORDER BY number DESC LIMIT $2");
        let rows = line.rows(&query, &[&before, &i64::from(page.limit)]).await?;
        Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
    }

    async fn audit_count(&self, action: &str, actor: &str, since: Timestamp) -> Result<u64> {
        let line = self.line().await?;
        Ok(count(&line, action, &[actor.to_owned()], since).await?)
    }

    async fn audit_check(&self) -> Result<Option<i64>> {
        let line = self.line().await?;
        let (mut number, mut before) = (0, String::new());
        loop {
            let query = format!("{ENTRY} WHERE number > $1 ORDER BY number LIMIT $2");
            let rows = line.rows(&query, &[&number, &CHECK_AT_ONCE]).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            for row in &rows {
                number += 1;
                let stored = entry(row)?;
                if stored.number != number || stored.hash != stored.entry.chained(&before)? {
                    return Ok(Some(number));
                }
                before = stored.hash;
            }
        }
    }
}
