use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::{Asset, Exception, Operator, Place, Result};
use super::Sqlite;
use super::convert::{from_json, json, ms, time, uncount};

/// A line of the asset list.
pub fn asset(conn: &Connection, serial: &str) -> Result<Option<Asset>> {
    let mut statement = conn.prepare_cached(
        "SELECT serial, user, department, shipped_to, expected_country FROM asset WHERE serial = ?1",
    )?;
    let asset = statement.query_row([serial], |row| {
        Ok(Asset {
            serial: row.get(0)?,
            user: row.get(1)?,
            department: row.get(2)?,
            shipped_to: row.get(3)?,
            expected_country: row.get(4)?,
        })
    });
    Ok(asset.optional()?)
}

#[async_trait]
impl Operator for Sqlite {
    async fn put_assets(&self, assets: Vec<Asset>) -> Result<()> {
        self.write(move |hand| {
            let mut put = hand.conn.prepare_cached(
                "INSERT INTO asset (serial, user, department, shipped_to, expected_country)
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET user = ?2, department = ?3, shipped_to = ?4,
                     expected_country = ?5",
            )?;
            for a in &assets {
                put.execute([&a.serial, &a.user, &a.department, &a.shipped_to, &a.expected_country])?;
            }
            Ok(())
        })
        .await
    }

    async fn asset(&self, serial: &str) -> Result<Option<Asset>> {
        let serial = serial.to_owned();
        self.read(move |conn| asset(conn, &serial)).await
    }

    async fn asset_count(&self) -> Result<u64> {
        self.read(|conn| Ok(uncount(conn.query_row("SELECT count(*) FROM asset", [], |row| row.get(0))?)))
            .await
    }

    async fn has_assets(&self) -> Result<bool> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM asset)")?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })
        .await
    }

    async fn places(&self) -> Result<Vec<Place>> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached("SELECT value FROM place ORDER BY name")?;
            let mut rows = statement.query([])?;
            let mut places = Vec::new();
            while let Some(row) = rows.next()? {
                places.push(from_json(&row.get::<_, String>(0)?)?);
            }
            Ok(places)
        })
        .await
    }

    async fn put_place(&self, place: Place) -> Result<()> {
        self.write(move |hand| {
            hand.conn.execute(
                "INSERT OR REPLACE INTO place (name, value) VALUES (?1, ?2)",
                [&place.name, &json(&place)?],
            )?;
            Ok(())
        })
        .await
    }

    async fn remove_place(&self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        self.write(move |hand| Ok(hand.conn.execute("DELETE FROM place WHERE name = ?1", [&name])? > 0)).await
    }

    async fn exceptions(&self, now: Timestamp) -> Result<Vec<Exception>> {
        self.read(move |conn| {
            // some hundreds of rows at most: no index
            let mut statement = conn.prepare_cached(
                "SELECT id, scope, reason, created_by, created_at, expires_at FROM exception
                 WHERE expires_at > ?1 ORDER BY id",
            )?;
            let mut rows = statement.query([ms(now)])?;
            let mut exceptions = Vec::new();
            while let Some(row) = rows.next()? {
                exceptions.push(Exception {
                    id: row.get(0)?,
                    scope: from_json(&row.get::<_, String>(1)?)?,
                    reason: row.get(2)?,
                    created_by: row.get(3)?,
                    created_at: time(row.get(4)?)?,
                    expires_at: time(row.get(5)?)?,
                });
            }
            Ok(exceptions)
        })
        .await
    }

    async fn add_exception(&self, exception: Exception) -> Result<i64> {
        self.write(move |hand| {
            hand.conn.execute(
                "INSERT INTO exception (scope, reason, created_by, created_at, expires_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    json(&exception.scope)?,
                    exception.reason,
                    exception.created_by,
                    ms(exception.created_at),
                    ms(exception.expires_at)
                ],
            )?;
            Ok(hand.conn.last_insert_rowid())
        })
        .await
    }

    async fn end_exception(&self, id: i64, now: Timestamp) -> Result<bool> {
        self.write(move |hand| {
            let ended = hand.conn.execute(
                "UPDATE exception SET expires_at = ?2 WHERE id = ?1 AND expires_at > ?2",
                params![id, ms(now)],
            )?;
            Ok(ended > 0)
        })
        .await
    }

    async fn value(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.read(move |conn| {
            let mut statement = conn.prepare_cached("SELECT value FROM kept WHERE name = ?1")?;
            Ok(statement.query_row([name], |row| row.get(0)).optional()?)
        })
        .await
    }

    async fn put_value(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write(move |hand| {
            hand.conn
                .execute("INSERT OR REPLACE INTO kept (name, value) VALUES (?1, ?2)", [&name, &value])?;
            Ok(())
        })
        .await
    }
}
