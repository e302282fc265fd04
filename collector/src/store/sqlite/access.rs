use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, params};

use super::super::{Access, Result, Token, User, WebSession};
use super::Sqlite;
use super::convert::{ms, time};

const TOKEN: &str = "SELECT hash, hint, label, uses_left, serial, expires_at, created_at FROM token";

fn token(row: &Row<'_>) -> Result<Token> {
    Ok(Token {
        hash: row.get(0)?,
        hint: row.get(1)?,
        label: row.get(2)?,
        uses_left: row.get(3)?,
        serial: row.get(4)?,
        expires_at: time(row.get(5)?)?,
        created_at: time(row.get(6)?)?,
    })
}

#[async_trait]
impl Access for Sqlite {
    async fn add_token(&self, token: Token) -> Result<()> {
        self.write(move |hand| {
            hand.conn.execute(
                "INSERT INTO token (hash, hint, label, uses_left, serial, expires_at, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    token.hash,
                    token.hint,
                    token.label,
                    token.uses_left,
                    token.serial,
                    ms(token.expires_at),
                    ms(token.created_at)
                ],
            )?;
            Ok(())
        })
        .await
    }

    async fn tokens(&self, now: Timestamp) -> Result<Vec<Token>> {
        self.read(move |conn| {
            // few rows: no index
            let query = format!("{TOKEN} WHERE uses_left > 0 AND expires_at > ?1 ORDER BY created_at, hash");
            let mut statement = conn.prepare_cached(&query)?;
            let mut rows = statement.query([ms(now)])?;
            let mut tokens = Vec::new();
            while let Some(row) = rows.next()? {
                tokens.push(token(row)?);
            }
            Ok(tokens)
        })
        .await
    }

    async fn token(&self, hash: &str) -> Result<Option<Token>> {
        let hash = hash.to_owned();
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(&format!("{TOKEN} WHERE hash = ?1"))?;
            let mut rows = statement.query([hash])?;
            rows.next()?.map(token).transpose()
        })
        .await
    }

    async fn use_token(&self, hash: &str, now: Timestamp) -> Result<bool> {
        let hash = hash.to_owned();
        self.write(move |hand| {
            let taken = hand.conn.execute(
                "UPDATE token SET uses_left = uses_left - 1 WHERE hash = ?1 AND uses_left > 0 AND expires_at > ?2",
                params![hash, ms(now)],
            )?;
            Ok(taken == 1)
        })
        .await
    }

    async fn remove_token(&self, hint: &str) -> Result<u64> {
        let hint = hint.to_owned();
        self.write(move |hand| Ok(hand.conn.execute("DELETE FROM token WHERE hint = ?1", [&hint])? as u64))
            .await
    }

    async fn user(&self, name: &str) -> Result<Option<User>> {
        let name = name.to_owned();
        self.read(move |conn| {
            let mut statement = conn.prepare_cached("SELECT name, password FROM user WHERE name = ?1")?;
            let user =
                statement.query_row([name], |row| Ok(User { name: row.get(0)?, password: row.get(1)? }));
            Ok(user.optional()?)
        })
        .await
    }

    async fn put_user(&self, user: User) -> Result<()> {
        self.write(move |hand| {
            hand.conn.execute(
                "INSERT OR REPLACE INTO user (name, password) VALUES (?1, ?2)",
                [&user.name, &user.password],
            )?;
            hand.conn.execute("DELETE FROM web_session WHERE user = ?1", [&user.name])?;
            Ok(())
        })
        .await
    }

    async fn add_session(&self, session: WebSession) -> Result<()> {
        self.write(move |hand| {
            hand.conn.execute(
                "INSERT INTO web_session (hash, user, csrf, expires_at) VALUES (?1, ?2, ?3, ?4)",
                params![session.hash, session.user, session.csrf, ms(session.expires_at)],
            )?;
            Ok(())
        })
        .await
    }

    async fn session(&self, hash: &str, now: Timestamp) -> Result<Option<WebSession>> {
        let hash = hash.to_owned();
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT hash, user, csrf, expires_at FROM web_session WHERE hash = ?1 AND expires_at > ?2",
            )?;
            let mut rows = statement.query(params![hash, ms(now)])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Some(WebSession {
                hash: row.get(0)?,
                user: row.get(1)?,
                csrf: row.get(2)?,
                expires_at: time(row.get(3)?)?,
            }))
        })
        .await
    }

    async fn trim_access(&self, before: Timestamp) -> Result<u64> {
        self.write(move |hand| {
            let sessions =
                hand.conn.execute("DELETE FROM web_session WHERE expires_at < ?1", [ms(before)])?;
            let tokens = hand.conn.execute("DELETE FROM token WHERE expires_at < ?1", [ms(before)])?;
            Ok((sessions + tokens) as u64)
        })
        .await
    }

    async fn end_session(&self, hash: &str) -> Result<()> {
        let hash = hash.to_owned();
        self.write(move |hand| {
            hand.conn.execute("DELETE FROM web_session WHERE hash = ?1", [&hash])?;
            Ok(())
        })
        .await
    }
}
