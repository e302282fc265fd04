//! How reports that wait become one transaction.
//!
//! Some lanes, each a task that takes all that waits for it and writes it at once: while one commit is on its way to the
//! disk, the next group gathers. A device always goes by the same lane, so its reports keep their order and lanes do not
//! wait for each other's devices.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};

use super::super::prepared::Prepared;
use super::super::{Receipt, Result, StoreError};
use super::connect::Lines;
use super::fault::Fault;
use super::ingest::{self, Manner};
use super::memory::Memory;
use super::{TRIES, breathe};

/// Groups on their way at a time. More than two would mostly wait for the same disk.
const LANES: usize = 2;
/// Calls that may wait in a lane. Past it, ingest is turned away.
const QUEUE: usize = 4096;
/// Most reports in one transaction: bounds what a failed commit throws away, and each answer's delay.
const GROUP: usize = 2048;
/// From so many calls in a group on, the next group is waited for.
const CROWD: usize = 32;
/// Longest wait until a group is as large as the last one; the last commit's time at most.
const GATHER: Duration = Duration::from_millis(8);
/// Longest that a group may take; who comes meanwhile waits for the next one, so twice as long. What is given up on may
/// still be written: a report that comes again is known.
const COMMIT_WITHIN: Duration = Duration::from_secs(30);
/// Other collectors are told of work at most this often: each such commit waits for all others of its kind.
const RING_EVERY: Duration = Duration::from_millis(100);

/// A call that waits.
struct Job {
    reports: Vec<Prepared>,
    reply: oneshot::Sender<Result<Vec<Receipt>>>,
}

/// The lanes' near ends.
pub struct Lanes {
    lanes: Vec<mpsc::Sender<Job>>,
}

impl Lanes {
    /// Starts the lanes. Each ends when this is dropped, after what waits is written. `bell` is rung when there is work.
    pub fn start(lines: &Lines, bell: &Arc<Notify>) -> Self {
        let started = (0..LANES).map(|_| {
            let (queue, waiting) = mpsc::channel(QUEUE);
            tokio::spawn(run(lines.clone(), Arc::clone(bell), waiting));
            queue
        });
        Self { lanes: started.collect() }
    }

    /// Queues reports and waits until they are durable.
    pub async fn take(&self, reports: Vec<Prepared>) -> Result<Vec<Receipt>> {
        let Some(first) = reports.first() else { return Ok(Vec::new()) };
        let mut hasher = DefaultHasher::new();
        first.arrival.report.device.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0);
        let (reply, answer) = oneshot::channel();
        let full = || StoreError::Unavailable("more waits to be written than it takes".into());
        let lane = self.lanes.get(lane).ok_or_else(full)?;
        lane.try_send(Job { reports, reply }).map_err(|_| full())?;
        // Whoever waits is answered in time, by the lane: a clock for each of them would cost more than a heartbeat's write.
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("its writer stopped".into())))
    }
}

async fn run(lines: Lines, bell: Arc<Notify>, mut waiting: mpsc::Receiver<Job>) {
    let (mut size, mut took) = (0, Duration::ZERO);
    let mut memory = Memory::new();
    let mut last_ring: Option<Instant> = None;
    loop {
        gather(&waiting, size, took).await;
        let Some(first) = waiting.recv().await else { return };
        let mut group = vec![first];
        let mut reports = group.iter().map(|job| job.reports.len()).sum::<usize>();
        while reports < GROUP
            && let Ok(next) = waiting.try_recv()
        {
            reports += next.reports.len();
            group.push(next);
        }
        let start = Instant::now();
        metrics::gauge!("farmwatch_store_queue_depth").set((group.len() + waiting.len()) as f64);
        metrics::histogram!("farmwatch_store_group_size").record(group.len() as f64);
        size = group.len();
        let ring = last_ring.is_none_or(|last| start.duration_since(last) >= RING_EVERY);
        if commit(&lines, group, &mut memory, ring).await {
            last_ring = if ring { Some(start) } else { last_ring };
            bell.notify_one();
        }
        took = start.elapsed();
    }
}

/// Waits a moment for those that the last group's answers have woken: one commit for all of them is better than one for
/// the first and one for the others. A store with little to do waits for nobody.
async fn gather(waiting: &mpsc::Receiver<Job>, last: usize, took: Duration) {
    if last < CROWD {
        return;
    }
    let until = Instant::now() + took.min(GATHER);
    while waiting.len() < last && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Writes a group and answers; whether there is work for those who judge. Where the group fails for a reason that may
/// lie in one of its calls, each is tried alone.
async fn commit(lines: &Lines, group: Vec<Job>, memory: &mut Memory, ring: bool) -> bool {
    let calls: Vec<&[Prepared]> = group.iter().map(|job| job.reports.as_slice()).collect();
    let outcome = attempt(lines, &calls, memory, ring).await;
    match outcome {
        Ok((receipts, work)) => {
            for (job, receipts) in group.into_iter().zip(receipts) {
                answer(job, Ok(receipts));
            }
            work
        }
        Err(error) if group.len() > 1 && !matches!(error, StoreError::Unavailable(_)) => {
            let (mut any, mut away, until) = (false, None, Instant::now() + COMMIT_WITHIN);
            for job in group {
                let alone = match &away {
                    Some(error) => Err(StoreError::clone(error)),
                    None => attempt(lines, &[&job.reports], memory, ring).await,
                };
                any |= alone.as_ref().is_ok_and(|(_, work)| *work);
                // Those behind it are not to wait for a server that does not answer, one after the other.
                match &alone {
                    Err(error @ StoreError::Unavailable(_)) => away = Some(error.clone()),
                    _ if Instant::now() > until => away = Some(late()),
                    _ => {}
                }
                answer(job, alone.map(|(receipts, _)| receipts.into_iter().flatten().collect()));
            }
            any
        }
        Err(error) => {
            tracing::error!(%error, calls = group.len(), "the store took nothing of a group of reports");
            group.into_iter().for_each(|job| answer(job, Err(error.clone())));
            false
        }
    }
}

/// Takes a group, in time or not at all.
async fn attempt(
    lines: &Lines,
    calls: &[&[Prepared]],
    memory: &mut Memory,
    ring: bool,
) -> Result<(Vec<Vec<Receipt>>, bool)> {
    let taken = Box::pin(insist(lines, calls, memory, ring));
    tokio::time::timeout(COMMIT_WITHIN, taken).await.unwrap_or_else(|_| Err(late()))
}

fn late() -> StoreError {
    StoreError::Unavailable("PostgreSQL does not answer".into())
}

/// Takes a group, and again where others were in its way.
async fn insist(
    lines: &Lines,
    calls: &[&[Prepared]],
    memory: &mut Memory,
    ring: bool,
) -> Result<(Vec<Vec<Receipt>>, bool)> {
    let mut tries = 0;
    loop {
        tries += 1;
        let manner = Manner { ring, locked: tries > 1 };
        let taken: Result<_, Fault> = match lines.line().await {
            Ok(line) => Box::pin(ingest::take(line, calls, memory, manner)).await,
            Err(fault) => Err(fault),
        };
        match taken {
            Err(fault) if fault.again && tries < TRIES => {
                if !fault.stale {
                    breathe(tries).await;
                }
            }
            done => return Ok(done?),
        }
    }
}

fn answer(job: Job, outcome: Result<Vec<Receipt>>) {
    // Who asked may have gone; what is written stands.
    let _ = job.reply.send(outcome);
}
