//! The one thread that writes, and how what waits for it becomes one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};

use super::super::{Result, StoreError};
use super::convert::sql;
use super::heads::Heads;

/// Writes that may wait. Past it, ingest is turned away and others wait their turn.
const QUEUE: usize = 8192;
/// Most writes in one transaction: bounds what a failed commit throws away, and each answer's delay.
const GROUP: usize = 4096;
/// From so many writes in a group on, the next group is waited for, and answers are given elsewhere.
const CROWD: usize = 16;
/// Longest wait until a group is as large as half of the last one; half of the last commit's time at most.
const GATHER: Duration = Duration::from_millis(10);
/// Writes in one transaction of a database in memory: each that ends costs a walk over what is cached.
const IN_MEMORY: usize = 1000;
/// Between looks while it waits.
const LOOK: Duration = Duration::from_micros(100);
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
    /// A device came to the queue in this transaction.
    pub queued: bool,
    /// Rung when that is durable.
    pub bell: Arc<Notify>,
    /// Writes in the open transaction of a database in memory.
    written: usize,
}

impl Hand {
    /// A hand on a connection.
    pub fn new(conn: Connection) -> Self {
        Self { conn, heads: Heads::default(), queued: false, bell: Arc::default(), written: 0 }
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
        let runtime = Handle::try_current().ok();
        let mut groups = move || {
            let mut last = Last::default();
            loop {
                last.gather(&waiting);
                let Some(first) = waiting.blocking_recv() else { return };
                let mut group = vec![first];
                while group.len() < GROUP
                    && let Ok(next) = waiting.try_recv()
                {
                    group.push(next);
                }
                let (size, start) = (group.len(), Instant::now());
                metrics::gauge!("farmwatch_store_queue_depth").set((size + waiting.len()) as f64);
                let answers = commit(&mut hand, group);
                last = Last { size, took: start.elapsed() };
                give(answers, runtime.as_ref());
            }
        };
        // Without this thread nothing is ever written again: whatever goes wrong beside a write costs one group its answers.
        let run = move || while catch_unwind(AssertUnwindSafe(&mut groups)).is_err() {};
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

/// The last group.
#[derive(Default)]
struct Last {
    size: usize,
    took: Duration,
}

impl Last {
    /// Waits a moment for those that the last group's answers have woken: one sync for all of them is better than one
    /// for the first and one for the others. A store with little to do waits for nobody.
    fn gather(&self, waiting: &mpsc::Receiver<Box<dyn Job>>) {
        if self.size < CROWD {
            return;
        }
        let until = Instant::now() + (self.took / 2).min(GATHER);
        while waiting.len() < self.size / 2 && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }
}

/// Gives answers. To wake many tasks from outside of their runtime takes long, and the writer's time is dear.
fn give(answers: Vec<(Box<dyn Job>, Result<()>)>, runtime: Option<&Handle>) {
    let give = |answers: Vec<(Box<dyn Job>, Result<()>)>| {
        answers.into_iter().for_each(|(job, end)| job.answer(end));
    };
    match runtime {
        Some(runtime) if answers.len() >= CROWD => drop(runtime.spawn(async move { give(answers) })),
        _ => give(answers),
    }
}

/// Runs one write on the caller's thread, into a database in memory: nothing is to be made durable, so many writes share
/// a transaction, and each that is refused is undone alone.
pub fn run_here<T, F>(hand: &mut Hand, mut work: F) -> Result<T>
where
    F: FnMut(&mut Hand) -> Result<T>,
{
    let say = |hand: &Hand, words: &str| -> Result<()> {
        sql(hand.conn.prepare_cached(words).and_then(|mut statement| statement.execute([])).map(|_| ()))
    };
    if hand.conn.is_autocommit() {
        say(hand, "BEGIN")?;
        hand.heads.check(&hand.conn)?;
        hand.written = 0;
    }
    say(hand, "SAVEPOINT one")?;
    let mut run = |hand: &mut Hand| {
        let done = work(hand)?;
        hand.heads.write_beats(&hand.conn)?;
        Ok(done)
    };
    let end = catch_unwind(AssertUnwindSafe(|| run(hand)));
    let end = end.unwrap_or_else(|_| Err(StoreError::Corrupt("a write panicked; please report this".into())));
    if end.is_err() {
        hand.heads.forget_all();
        say(hand, "ROLLBACK TO one")?;
    }
    say(hand, "RELEASE one")?;
    hand.written += 1;
    if hand.written >= IN_MEMORY {
        say(hand, "COMMIT")?;
    }
    end
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
        // It reads what was taken before it, and what it undoes is its own alone.
        hand.heads.write_beats(&hand.conn)?;
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

/// Writes a group in one transaction; how each ended. Where that fails for a reason that may lie in one of them, each
/// is tried alone.
fn commit(hand: &mut Hand, mut group: Vec<Box<dyn Job>>) -> Vec<(Box<dyn Job>, Result<()>)> {
    metrics::histogram!("farmwatch_store_group_size").record(group.len() as f64);
    match attempt(hand, &mut group) {
        Err(e) if group.len() > 1 && !matches!(e, StoreError::Unavailable(_)) => {
            let alone = group.into_iter().map(|mut job| {
                let end = attempt(hand, std::slice::from_mut(&mut job));
                (job, end)
            });
            alone.collect()
        }
        end => {
            if let Err(error) = &end {
                tracing::error!(%error, writes = group.len(), "the store took nothing of a group of writes");
            }
            group.into_iter().map(|job| (job, end.clone())).collect()
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
        hand.heads.write_beats(&hand.conn)?;
        sql(hand.conn.execute_batch("COMMIT"))
    }));
    let end = end.unwrap_or_else(|_| Err(StoreError::Corrupt("a write panicked; please report this".into())));
    if std::mem::take(&mut hand.queued) && end.is_ok() {
        hand.bell.notify_one();
    }
    if end.is_err() {
        hand.heads.forget_all();
        // A full disk has rolled back by itself.
        if !hand.conn.is_autocommit() {
            let _ = hand.conn.execute_batch("ROLLBACK");
        }
    }
    end
}
