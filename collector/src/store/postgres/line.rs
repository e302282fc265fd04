//! One connection for a while: statements with a timeout each, and transactions that never leak.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use futures_util::try_join;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use super::super::StoreError;
use super::fault::Fault;

/// Values of a statement, in the order of its `$1`, `$2`, ….
pub type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection that is this caller's until it is dropped. One that is dropped within a transaction, or whose server
/// fell silent, is closed instead of given to the next.
pub struct Line {
    object: Option<Object>,
    patience: Duration,
    /// Within a transaction.
    open: bool,
    /// The transaction begins with what is sent next.
    begins: AtomicBool,
    /// The server did not answer in time: what it will answer, nobody waits for.
    silent: AtomicBool,
}

impl Line {
    /// Of a connection. `patience` is the longest wait for an answer, longer than the server's own limit.
    pub fn new(object: Object, patience: Duration) -> Self {
        let (begins, silent) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { object: Some(object), patience, open: false, begins, silent }
    }

    /// Rows of a query.
    pub async fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, Fault> {
        #[cfg(test)]
        super::tests::plans::note(sql);
        self.within(async {
            let client = self.client()?;
            let statement = client.prepare_cached(sql).await?;
            Ok(client.query(&statement, values).await?)
        })
        .await
    }

    /// The row of a query that has at most one.
    pub async fn row(&self, sql: &str, values: Values<'_>) -> Result<Option<Row>, Fault> {
        Ok(self.rows(sql, values).await?.pop())
    }

    /// Runs a statement; how many rows it touched.
    pub async fn change(&self, sql: &str, values: Values<'_>) -> Result<u64, Fault> {
        #[cfg(test)]
        super::tests::plans::note(sql);
        self.within(async {
            let client = self.client()?;
            let statement = client.prepare_cached(sql).await?;
            Ok(client.execute(&statement, values).await?)
        })
        .await
    }

    /// Runs statements without values.
    pub async fn say(&self, sql: &str) -> Result<(), Fault> {
        self.within(async { Ok(self.client()?.batch_execute(sql).await?) }).await
    }

    /// Has statements prepared, so that several that are then sent at once go out in the order they are sent in.
    pub async fn prepare(&self, statements: &[&str]) -> Result<(), Fault> {
        for sql in statements {
            self.timed(async { Ok(self.client()?.prepare_cached(sql).await?) }).await?;
        }
        Ok(())
    }

    /// Begins a transaction.
    pub async fn begin(&mut self) -> Result<(), Fault> {
        self.opened();
        self.say("BEGIN").await
    }

    /// A transaction begins with what the caller sends next.
    pub fn opened(&mut self) {
        self.open = true;
    }

    /// Begins a transaction with whatever is sent next, without a way of its own.
    pub fn begin_with_next(&mut self) {
        self.opened();
        *self.begins.get_mut() = true;
    }

    /// When it was connected.
    pub fn connected(&self) -> Instant {
        self.object.as_ref().map_or_else(Instant::now, |object| Object::metrics(object).created)
    }

    /// Ends a transaction: commits what went well, undoes what did not.
    pub async fn end<T>(mut self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        if *self.begins.get_mut() {
            // Nothing was sent.
            self.open = false;
            return outcome;
        }
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        match (self.say(end).await, outcome) {
            (Ok(()), outcome) => {
                self.open = false;
                outcome
            }
            // Dropped open, the connection is closed, and that undoes it too.
            (Err(_), Err(fault)) | (Err(fault), Ok(_)) => Err(fault),
        }
    }

    /// The driver's connection, for what needs all of it.
    pub fn client_mut(&mut self) -> Result<&mut Object, Fault> {
        self.object.as_mut().ok_or_else(|| Fault::unavailable("the connection is gone"))
    }

    fn client(&self) -> Result<&Object, Fault> {
        self.object.as_ref().ok_or_else(|| Fault::unavailable("the connection is gone"))
    }

    async fn begun<T>(&self, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        if !self.begins.swap(false, Ordering::Relaxed) {
            return answer.await;
        }
        let begin = async { Ok(self.client()?.batch_execute("BEGIN").await?) };
        try_join!(begin, answer).map(|((), answer)| answer)
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        self.timed(self.begun(answer)).await
    }

    async fn timed<T>(&self, answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        if let Ok(answer) = tokio::time::timeout(self.patience, answer).await {
            return answer;
        }
        self.silent.store(true, Ordering::Relaxed);
        Err(Fault::unavailable(format!("PostgreSQL did not answer within {} s", self.patience.as_secs())))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if (self.open || self.silent.load(Ordering::Relaxed))
            && let Some(object) = self.object.take()
        {
            drop(Object::take(object));
        }
    }
}

/// A column of a row.
pub fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Fault> {
    let read = row.try_get(column);
    Ok(read.map_err(|error| StoreError::Corrupt(format!("column {column} of an answer: {error}")))?)
}
