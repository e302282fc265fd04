use async_trait::async_trait;
use jiff::Timestamp;

use super::super::convert::{from_json, json, ms, plain, time, uncount};
use super::super::{Asset, Exception, Operator, Place, Result};
use super::Postgres;
use super::fault::Fault;
use super::line::{Line, get};

/// A line of the asset list.
pub async fn asset(line: &Line, serial: &str) -> Result<Option<Asset>, Fault> {
    let query =
        "SELECT serial, user_name, department, shipped_to, expected_country FROM asset WHERE serial = $1";
    let Some(row) = line.row(query, &[&plain(serial)]).await? else { return Ok(None) };
    Ok(Some(Asset {
        serial: get(&row, 0)?,
        user: get(&row, 1)?,
        department: get(&row, 2)?,
        shipped_to: get(&row, 3)?,
        expected_country: get(&row, 4)?,
    }))
}

#[async_trait]
impl Operator for Postgres {
    async fn put_assets(&self, assets: Vec<Asset>) -> Result<()> {
        // One statement may not touch a row twice: of several lines of one serial number the last counts.
        let last: std::collections::BTreeMap<String, &Asset> =
            assets.iter().map(|asset| (plain(&asset.serial), asset)).collect();
        let column = |of: fn(&Asset) -> &str| last.values().map(|asset| plain(of(asset))).collect::<Vec<_>>();
        let line = self.line().await?;
        line.change(
            "INSERT INTO asset (serial, user_name, department, shipped_to, expected_country)
             SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
             ON CONFLICT (serial) DO UPDATE SET user_name = excluded.user_name, department = excluded.department,
                 shipped_to = excluded.shipped_to, expected_country = excluded.expected_country",
            &[
                &last.keys().collect::<Vec<_>>(),
                &column(|asset| &asset.user),
                &column(|asset| &asset.department),
                &column(|asset| &asset.shipped_to),
                &column(|asset| &asset.expected_country),
            ],
        )
        .await?;
        Ok(())
    }

    async fn asset(&self, serial: &str) -> Result<Option<Asset>> {
        Ok(asset(&self.line().await?, serial).await?)
    }

    async fn asset_count(&self) -> Result<u64> {
        Ok(uncount(self.number("SELECT count(*) FROM asset", &[]).await?))
    }

    async fn has_assets(&self) -> Result<bool> {
        Ok(self.number("SELECT count(*) FROM (SELECT 1 FROM asset LIMIT 1) one", &[]).await? > 0)
    }

    async fn places(&self) -> Result<Vec<Place>> {
        let line = self.line().await?;
        let rows = line.rows("SELECT value FROM place ORDER BY name", &[]).await?;
        rows.iter().map(|row| from_json(get::<&str>(row, 0)?)).collect()
    }

    async fn put_place(&self, place: Place) -> Result<()> {
        let line = self.line().await?;
        line.change(
            "INSERT INTO place (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &[&plain(&place.name), &json(&place)?],
        )
        .await?;
        Ok(())
    }

    async fn remove_place(&self, name: &str) -> Result<bool> {
        let line = self.line().await?;
        Ok(line.change("DELETE FROM place WHERE name = $1", &[&plain(name)]).await? > 0)
    }

    async fn exceptions(&self, now: Timestamp) -> Result<Vec<Exception>> {
        let line = self.line().await?;
        // some hundreds of rows at most: no index
        let query = "SELECT id, scope, reason, created_by, created_at, expires_at FROM exception
             WHERE expires_at > $1 ORDER BY id";
        let mut exceptions = Vec::new();
        for row in &line.rows(query, &[&ms(now)]).await? {
            exceptions.push(Exception {
                id: get(row, 0)?,
                scope: from_json(get(row, 1)?)?,
                reason: get(row, 2)?,
                created_by: get(row, 3)?,
                created_at: time(get(row, 4)?)?,
                expires_at: time(get(row, 5)?)?,
            });
        }
        Ok(exceptions)
    }

    async fn add_exception(&self, exception: Exception) -> Result<i64> {
        self.number(
            "INSERT INTO exception (scope, reason, created_by, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5) RETURNING id",
            &[
                &json(&exception.scope)?,
                &plain(&exception.reason),
                &plain(&exception.created_by),
                &ms(exception.created_at),
                &ms(exception.expires_at),
            ],
        )
        .await
    }

    async fn end_exception(&self, id: i64, now: Timestamp) -> Result<bool> {
        let line = self.line().await?;
        let statement = "UPDATE exception SET expires_at = $2 WHERE id = $1 AND expires_at > $2";
        Ok(line.change(statement, &[&id, &ms(now)]).await? > 0)
    }

    async fn value(&self, name: &str) -> Result<Option<String>> {
        let line = self.line().await?;
        let row = line.row("SELECT value FROM kept WHERE name = $1", &[&plain(name)]).await?;
        Ok(row.as_ref().map(|row| get(row, 0)).transpose()?)
    }

    async fn put_value(&self, name: &str, value: &str) -> Result<()> {
        let line = self.line().await?;
        line.change(
            "INSERT INTO kept (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &[&plain(name), &plain(value)],
        )
        .await?;
        Ok(())
    }
}
