//! The correlator: judges what changed, keeps sites, raises alerts.
//!
//! A device that changed is taken from the store's queue; its findings, its anchors, its site and the alerts of
//! both are written in one transaction. Decisions are pure functions (`anchors`, [`same_place`], [`sites`],
//! [`evidence`], [`crate::alerts`], [`crate::quarantine::decision`]); `judging` fetches what they need.

pub mod anchors;
mod crowd;
pub mod evidence;
mod habits;
mod history;
mod judging;
pub mod known;
mod moves;
mod operator;
mod outages;
mod place;
pub mod prevalence;
pub mod same_place;
mod silence;
pub mod sites;
pub mod view;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use habits::Habits;
pub use silence::check_silence;

use crate::app::{App, draw_from_system};
use crate::store::{AWAY_DAYS, Alert, StoreError, Taken};
use known::Known;

/// Days that rules and the evidence about places look back on, today among them. Whole days: what a day amounts to stays.
const DAYS: i64 = AWAY_DAYS;
/// Seconds of a day.
const DAY: i64 = 86_400;
/// Devices taken from the queue at once.
const BATCH: u32 = 64;
/// After the store failed.
const BREATHE: Duration = Duration::from_secs(2);
/// Between looks for silent agents. The first is one of these later: agents come back after a collector that was away.
const SILENCE: Duration = Duration::from_mins(10);
/// Times that a judgement is tried when somebody else wrote what it rests on meanwhile.
const TRIES: usize = 10;

/// The midnight (UTC) from which on a judgement looks at what happened.
fn look_back(now: Timestamp) -> Timestamp {
    let today = now.as_second().div_euclid(DAY);
    Timestamp::from_second((today + 1 - DAYS) * DAY).unwrap_or(Timestamp::MIN)
}

/// Judges what changes until `shutdown`. Errors are logged and what they hit is tried again; none ends it.
pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let mut looked = tokio::time::Instant::now();
    while !shutdown.is_cancelled() {
        match app.store.take_work(BATCH, Timestamp::now()).await {
            Ok(taken) if taken.is_empty() => or_shutdown(&shutdown, app.store.wait_for_work()).await,
            Ok(taken) => drop(judge_devices(&app, &taken, Timestamp::now()).await),
            Err(error) => {
                tracing::error!(%error, "cannot take work from the store; trying again");
                or_shutdown(&shutdown, tokio::time::sleep(BREATHE)).await;
            }
        }
        if looked.elapsed() >= SILENCE {
            looked = tokio::time::Instant::now();
            if let Err(error) = check_silence(&app, Timestamp::now()).await {
                tracing::error!(error = %format!("{error:#}"), "cannot look for silent agents; trying again");
            }
        }
    }
}

async fn or_shutdown(shutdown: &CancellationToken, wait: impl Future<Output = ()>) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = wait => {}
    }
}

/// Judges devices anew, each with its site, and gives the alerts that this raised or materially changed.
///
/// A device that cannot be judged is logged and left on the queue, which offers it again after its lease; the
/// others are judged.
pub async fn judge_devices(app: &App, taken: &[Taken], now: Timestamp) -> Vec<Alert> {
    let known = match Known::load(app, now).await {
        Ok(known) => known,
        Err(error) => {
            tracing::error!(%error, "cannot read places and exceptions; devices stay on the queue");
            return Vec::new();
        }
    };
    let at_once = app.store.at_once().max(1);
    let judging: Vec<_> = taken.iter().map(|one| judge_guarded(app, &known, one, now, 1).boxed()).collect();
    let judged: Vec<Judged> = stream::iter(judging).buffered(at_once).collect().await;
    let mut alerts = Vec::new();
    for (one, judged) in taken.iter().zip(judged) {
        let judged = match judged {
            // Those of one place stand in each other's way: one after the other, none does.
            Judged::InTheWay => judge_guarded(app, &known, one, now, TRIES).await,
            done => done,
        };
        match judged {
            Judged::Told(told) => alerts.extend(told),
            Judged::Failed => metrics::counter!("farmwatch_judge_failures_total").increment(1),
            Judged::InTheWay => {
                tracing::warn!(device = %one.device, "others wrote what a device is judged by, again and again; it stays on the queue");
            }
        }
    }
    alerts
}

/// What became of a judgement.
enum Judged {
    /// It is written, with the alerts that this raised or materially changed.
    Told(Vec<Alert>),
    /// Others wrote what it rests on meanwhile.
    InTheWay,
    /// It cannot be made now; the log says why.
    Failed,
}

/// Judges a device up to so many times, until nobody wrote meanwhile what the judgement rests on.
async fn judge_guarded(app: &App, known: &Known, taken: &Taken, now: Timestamp, tries: usize) -> Judged {
    let id = &taken.device;
    match AssertUnwindSafe(judge_until_written(app, known, taken, now, tries)).catch_unwind().await {
        Ok(Ok(told)) => Judged::Told(told),
        Ok(Err(error)) if matches!(error.downcast_ref(), Some(StoreError::Late(_))) => {
            tracing::debug!(device = %id, "judged too late: another has taken it since");
            Judged::Told(Vec::new())
        }
        Ok(Err(error)) if is_conflict(&error) => Judged::InTheWay,
        Ok(Err(error)) => {
            tracing::error!(device = %id, error = %format!("{error:#}"), "cannot judge a device; it stays on the queue");
            Judged::Failed
        }
        Err(_) => {
            tracing::error!(device = %id, "judging a device panicked; it stays on the queue");
            Judged::Failed
        }
    }
}

async fn judge_until_written(
    app: &App,
    known: &Known,
    taken: &Taken,
    now: Timestamp,
    most: usize,
) -> anyhow::Result<Vec<Alert>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match judging::judge(app, known, taken, now).await {
            Err(error) if tries < most && is_conflict(&error) => {
                tracing::debug!(device = %taken.device, %error, "somebody else was faster; judging anew");
                let wait = u64::try_from(draw_from_system() % (20 << tries.min(6))).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            done => return done,
        }
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<StoreError>(), Some(StoreError::Conflict(_)))
}
