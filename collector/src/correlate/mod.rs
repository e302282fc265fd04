//! The correlator: judges what changed, keeps sites, raises alerts.
//!
//! A device that changed is taken from the store's queue; its findings, its anchors, its site and the alerts of
//! both are written in one transaction. Decisions are pure functions (`anchors`, [`same_place`], [`sites`],
//! [`evidence`], [`crate::alerts`], [`crate::quarantine::decision`]); `judging` fetches what they need.

pub mod anchors;
pub mod evidence;
mod habits;
mod judging;
pub mod known;
mod place;
mod recent;
pub mod same_place;
mod silence;
pub mod sites;
pub mod view;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use farmwatch_shared::id::DeviceId;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use habits::Habits;
pub use recent::Recent;
pub use silence::check_silence;

use crate::app::App;
use crate::store::{Alert, StoreError};
use known::Known;

/// Devices taken from the queue at once.
const BATCH: u32 = 64;
/// After the store failed.
const BREATHE: Duration = Duration::from_secs(2);
/// Between looks for silent agents.
const SILENCE: Duration = Duration::from_mins(5);
/// Times that a judgement is tried when somebody else wrote one of its alerts meanwhile.
const TRIES: usize = 5;

/// Judges what changes until `shutdown`. Errors are logged and what they hit is tried again; none ends it.
pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let mut looked = tokio::time::Instant::now();
    while !shutdown.is_cancelled() {
        match app.store.take_work(BATCH, Timestamp::now()).await {
            Ok(ids) if ids.is_empty() => or_shutdown(&shutdown, app.store.wait_for_work()).await,
            Ok(ids) => drop(judge_devices(&app, &ids, Timestamp::now()).await),
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
pub async fn judge_devices(app: &App, ids: &[DeviceId], now: Timestamp) -> Vec<Alert> {
    let known = match Known::load(app, now).await {
        Ok(known) => known,
        Err(error) => {
            tracing::error!(%error, "cannot read places and exceptions; devices stay on the queue");
            return Vec::new();
        }
    };
    let mut alerts = Vec::new();
    for id in ids {
        match AssertUnwindSafe(judge_until_written(app, &known, id, now)).catch_unwind().await {
            Ok(Ok(told)) => alerts.extend(told),
            Ok(Err(error)) => {
                tracing::error!(device = %id, error = %format!("{error:#}"), "cannot judge a device; it stays on the queue");
                metrics::counter!("farmwatch_judge_failures_total").increment(1);
            }
            Err(_) => {
                tracing::error!(device = %id, "judging a device panicked; it stays on the queue");
                metrics::counter!("farmwatch_judge_failures_total").increment(1);
            }
        }
    }
    alerts
}

async fn judge_until_written(
    app: &App,
    known: &Known,
    id: &DeviceId,
    now: Timestamp,
) -> anyhow::Result<Vec<Alert>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match judging::judge(app, known, id, now).await {
            Err(error) if tries < TRIES && is_conflict(&error) => {
                tracing::debug!(device = %id, "somebody else was faster; judging anew");
            }
            done => return done,
        }
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<StoreError>(), Some(StoreError::Conflict(_)))
}
