//! The one thread that writes, and how what waits for it becomes one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::{Result, StoreError};
use super::convert::sql;
use super::heads::Heads;

/// Writes that may wait. Past it, ingest is turned away and others wait their turn.
const QUEUE: usize = 8192;
/// Most writes in one transaction: bounds what a failed commit throws away, and each answer's delay.
const GROUP: usize = 4096;
/// Longest wait for a place in the queue.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait for a commit. What is given up on may still be written: a report that comes again is known.
const COMMIT_WITHIN: Duration = Duration::from_mins(1);

/// What a write works with: the connection that writes, and what it remembers of the devices.
pub struct Hand {
    /// The connection, within a transaction.
    pub conn: Connection,
    /// Devices' heads.
    pub heads: Heads,
}

impl Hand {
    /// A hand on a connection.
    pub fn new(conn: Connection) -> Self {
        Self { conn, heads: Heads::default() }
    }
}

/// How a write behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It may refuse after it began to write: what it wrote is undone, alone.
    Guarded,
    /// It refuses nothing, so it needs no savepoint; and it does not wait for a full queue.
    Ingest,
}

/// The queue's near end.
pub struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the thread. It ends when the queue's last holder is gone, after what waits is written.
    pub fn start(mut hand: Hand) -> Result<Self> {
        let (queue, mut waiting) = mpsc::channel::<Box<dyn Job>>(QUEUE);
        let run = move || {
            let mut group = Vec::new();
            while let Some(first) = waiting.blocking_recv() {
                group.push(first);
                while group.len() < GROUP
                    && let Ok(next) = waiting.try_recv()
                {
                    group.push(next);
                }
                commit(&mut hand, std::mem::take(&mut group));
            }
        };
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(run)
            .map_err(|e| StoreError::Unavailable(format!("cannot start its thread: {e}")))?;
        Ok(Self { queue })
    }

    /// Queues a write and waits until it is durable.
    pub async fn run<T, F>(&self, work: F, kind: Kind) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Hand) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Typed { work, kind, outcome: None, reply });
        match kind {
            Kind::Ingest => self.queue.try_send(job).map_err(|_| full())?,
            Kind::Guarded => self.queue.send_timeout(job, PATIENCE).await.map_err(|_| full())?,
        }
        metrics::gauge!("farmwatch_store_queue_depth")
            .set((self.queue.max_capacity() - self.queue.capacity()) as f64);
        match tokio::time::timeout(COMMIT_WITHIN, answer).await {
            Ok(Ok((outcome, _work))) => outcome,
            Ok(Err(_)) => Err(StoreError::Unavailable("its writer stopped".into())),
            Err(_) => Err(StoreError::Unavailable("its disk does not answer".into())),
        }
    }
}

fn full() -> StoreError {
    StoreError::Unavailable("more waits to be written than it takes".into())
}

/// Runs one write on the caller's thread.
pub fn run_here<T, F>(hand: &mut Hand, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnMut(&mut Hand) -> Result<T> + Send + 'static,
{
    let (reply, mut answer) = oneshot::channel();
    commit(hand, vec![Box::new(Typed { work, kind: Kind::Guarded, outcome: None, reply })]);
    match answer.try_recv() {
        Ok((outcome, _work)) => outcome,
        Err(_) => Err(StoreError::Unavailable("a write was cut short".into())),
    }
}

/// A write that waits.
trait Job: Send {
    /// Writes. An error here is one that the whole transaction has to be thrown away for.
    fn run(&mut self, hand: &mut Hand) -> Result<()>;
    /// Tells who asked, once it is durable or has failed.
    fn answer(self: Box<Self>, end: Result<()>);
}

struct Typed<T, F> {
    work: F,
    kind: Kind,
    outcome: Option<Result<T>>,
    /// Takes the outcome, and the work back: what it held (reports) is freed by who asked, not by the writer.
    reply: oneshot::Sender<(Result<T>, F)>,
}

impl<T, F> Job for Typed<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Hand) -> Result<T> + Send + 'static,
{
    fn run(&mut self, hand: &mut Hand) -> Result<()> {
        if self.kind == Kind::Ingest {
            self.outcome = Some(Ok((self.work)(hand)?));
            return Ok(());
        }
        sql(hand.conn.execute_batch("SAVEPOINT one"))?;
        match (self.work)(hand) {
            Err(e @ StoreError::Unavailable(_)) => Err(e),
            outcome => {
                if outcome.is_err() {
                    hand.heads.forget_all();
                    sql(hand.conn.execute_batch("ROLLBACK TO one"))?;
                }
                self.outcome = Some(outcome);
                sql(hand.conn.execute_batch("RELEASE one"))
            }
        }
    }

    fn answer(self: Box<Self>, end: Result<()>) {
        let lost = || Err(StoreError::Unavailable("a write was cut short".into()));
        let Self { outcome, reply, work, .. } = *self;
        // Who asked may have gone; the write stands.
        let _ = reply.send((end.and_then(|()| outcome.unwrap_or_else(lost)), work));
    }
}

/// Writes a group in one transaction and answers each. Where that fails for a reason that may lie in one of
/// them, each is tried alone.
fn commit(hand: &mut Hand, mut group: Vec<Box<dyn Job>>) {
    metrics::histogram!("farmwatch_store_group_size").record(group.len() as f64);
    match attempt(hand, &mut group) {
        Err(e) if group.len() > 1 && !matches!(e, StoreError::Unavailable(_)) => {
            for job in group {
                let mut alone = vec![job];
                let end = attempt(hand, &mut alone);
                alone.into_iter().for_each(|job| job.answer(end.clone()));
            }
        }
        end => {
            if let Err(error) = &end {
                tracing::error!(%error, writes = group.len(), "the store took nothing of a group of writes");
            }
            group.into_iter().for_each(|job| job.answer(end.clone()));
        }
    }
}

fn attempt(hand: &mut Hand, group: &mut [Box<dyn Job>]) -> Result<()> {
    let end = catch_unwind(AssertUnwindSafe(|| {
        sql(hand.conn.execute_batch("BEGIN IMMEDIATE"))?;
        hand.heads.check(&hand.conn)?;
        for job in group.iter_mut() {
            job.run(hand)?;
        }
        sql(hand.conn.execute_batch("COMMIT"))
    }));
    let end = end.unwrap_or_else(|_| Err(StoreError::Corrupt("a write panicked; please report this".into())));
    if end.is_err() {
        hand.heads.forget_all();
        // A full disk has rolled back by itself.
        if !hand.conn.is_autocommit() {
            let _ = hand.conn.execute_batch("ROLLBACK");
        }
    }
    end
}
