use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::super::convert::{ms, plain, time};
use super::super::{Access, Result, Token, User, WebSession};
use super::Postgres;
use super::fault::Fault;
use super::line::get;

const TOKEN: &str = "SELECT hash, hint, label, uses_left, serial, expires_at, created_at FROM token";

fn token(row: &Row) -> Result<Token, Fault> {
    Ok(Token {
        hash: get(row, 0)?,
        hint: get(row, 1)?,
        label: get(row, 2)?,
        uses_left: u32::try_from(get::<i64>(row, 3)?).unwrap_or(0),
        serial: get(row, 4)?,
        expires_at: time(get(row, 5)?)?,
        created_at: time(get(row, 6)?)?,
    })
}

#[async_trait]
impl Access for Postgres {
    async fn add_token(&self, token: Token) -> Result<()> {
        let line = self.line().await?;
        line.change(
            "INSERT INTO token (hash, hint, label, uses_left, serial, expires_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &token.hash,
                &token.hint,
                &plain(&token.label),
                &i64::from(token.uses_left),
                &token.serial.as_deref().map(plain),
                &ms(token.expires_at),
                &ms(token.created_at),
            ],
        )
        .await?;
        Ok(())
    }

    async fn tokens(&self, now: Timestamp) -> Result<Vec<Token>> {
        let line = self.line().await?;
        // few rows: no index
        let query = format!("{TOKEN} WHERE uses_left > 0 AND expires_at > $1 ORDER BY created_at, hash");
        let rows = line.rows(&query, &[&ms(now)]).await?;
        Ok(rows.iter().map(token).collect::<Result<_, _>>()?)
    }

    async fn token(&self, hash: &str) -> Result<Option<Token>> {
        let line = self.line().await?;
        let row = line.row(&format!("{TOKEN} WHERE hash = $1"), &[&plain(hash)]).await?;
        Ok(row.as_ref().map(token).transpose()?)
    }

    async fn use_token(&self, hash: &str, now: Timestamp) -> Result<bool> {
        let line = self.line().await?;
        // Two at once wait for each other's row, and the second sees what the first has left.
        let taken = line
            .change(
                "UPDATE token SET uses_left = uses_left - 1 WHERE hash = $1 AND uses_left > 0 AND expires_at > $2",
                &[&plain(hash), &ms(now)],
            )
            .await?;
        Ok(taken == 1)
    }

    async fn remove_token(&self, hint: &str) -> Result<u64> {
        let line = self.line().await?;
        Ok(line.change("DELETE FROM token WHERE hint = $1", &[&plain(hint)]).await?)
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        let line = self.line().await?;
        let query = "SELECT name, password FROM console_user WHERE name = $1";
        let Some(row) = line.row(query, &[&plain(name)]).await? else { return Ok(None) };
        Ok(Some(User { name: get(&row, 0)?, password: get(&row, 1)? }))
    }

    async fn put_user(&self, user: User) -> Result<()> {
        let mut line = self.line().await?;
        line.begin().await?;
        let name = plain(&user.name);
        let written = async {
            line.change(
                "INSERT INTO console_user (name, password) VALUES ($1, $2)
                 ON CONFLICT (name) DO UPDATE SET password = excluded.password",
                &[&name, &user.password],
            )
            .await?;
            line.change("DELETE FROM web_session WHERE user_name = $1", &[&name]).await?;
            Ok(())
        }
        .await;
        Ok(line.end(written).await?)
    }

    async fn add_session(&self, session: WebSession) -> Result<()> {
        let line = self.line().await?;
        line.change(
            "INSERT INTO web_session (hash, user_name, csrf, expires_at) VALUES ($1, $2, $3, $4)",
            &[&session.hash, &plain(&session.user), &session.csrf, &ms(session.expires_at)],
        )
        .await?;
        Ok(())
    }

    async fn session(&self, hash: &str, now: Timestamp) -> Result<Option<WebSession>> {
        let line = self.line().await?;
        let query =
            "SELECT hash, user_name, csrf, expires_at FROM web_session WHERE hash = $1 AND expires_at > $2";
        let Some(row) = line.row(query, &[&plain(hash), &ms(now)]).await? else { return Ok(None) };
        Ok(Some(WebSession {
            hash: get(&row, 0)?,
            user: get(&row, 1)?,
            csrf: get(&row, 2)?,
            expires_at: time(get(&row, 3)?)?,
        }))
    }

    async fn end_session(&self, hash: &str) -> Result<()> {
        let line = self.line().await?;
        line.change("DELETE FROM web_session WHERE hash = $1", &[&plain(hash)]).await?;
        Ok(())
    }

    async fn trim_access(&self, before: Timestamp) -> Result<u64> {
        let line = self.line().await?;
        let sessions = line.change("DELETE FROM web_session WHERE expires_at < $1", &[&ms(before)]).await?;
        let tokens = line.change("DELETE FROM token WHERE expires_at < $1", &[&ms(before)]).await?;
        Ok(sessions + tokens)
    }
}
