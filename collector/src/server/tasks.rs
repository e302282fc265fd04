//! What runs beside the listeners.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::health::{Health, STORE_SILENT};
use crate::access::Folder;
use crate::access::authority::Authority;
use crate::access::server_certificate::ServerCertificate;
use crate::app::App;
use crate::correlate;
use crate::store::sqlite::read_on_this_thread;

/// How much the thread that judges gives way.
const NICE: i32 = 5;

/// Has the listener's certificate signed anew when that is due.
pub async fn keep_certificate_fresh(
    certificate: Arc<ServerCertificate>,
    folder: Folder,
    names: Vec<String>,
    shutdown: CancellationToken,
) {
    // Often, because a clock that is put right may make it one of the future.
    while waits(&shutdown, Duration::from_mins(5)).await {
        let fresh = Authority::load(&folder)
            .and_then(|authority| certificate.keep_fresh(&folder, &authority, &names, Timestamp::now()));
        if let Err(error) = fresh {
            tracing::error!(error = format!("{error:#}"), "cannot keep the listener's certificate fresh");
        }
    }
}

/// Judges what changes, on a thread of its own: it reads much, and reads there itself. Where there is more to do than
/// there is time, reports are taken first.
pub async fn judge(app: Arc<App>, shutdown: CancellationToken) {
    let runtime = tokio::runtime::Handle::current();
    let (ended, end) = tokio::sync::oneshot::channel();
    let stop = shutdown.clone();
    let run = move || {
        read_on_this_thread();
        // On Linux this is the thread's, not the process's.
        if cfg!(target_os = "linux")
            && let Err(error) = rustix::process::nice(NICE)
        {
            tracing::debug!(%error, "cannot give way to those that take reports");
        }
        runtime.block_on(correlate::run(app, stop));
        let _ = ended.send(());
    };
    if let Err(error) = std::thread::Builder::new().name("judge".into()).spawn(run) {
        tracing::error!(%error, "cannot start the thread that judges; stopping");
        return shutdown.cancel();
    }
    let _ = end.await;
}

/// Keeps gauges of what the store holds.
pub async fn gauges(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        if let Ok(count) = app.store.device_count().await {
            let (active, revoked) = (count.good(), count.revoked);
            metrics::gauge!("farmwatch_devices", "state" => "enrolled").set(active as f64);
            metrics::gauge!("farmwatch_devices", "state" => "revoked").set(revoked as f64);
        }
        if let Ok(waiting) = app.store.work_due(Timestamp::now()).await {
            metrics::gauge!("farmwatch_work_waiting").set(waiting as f64);
        }
        if !waits(&shutdown, Duration::from_secs(15)).await {
            return;
        }
    }
}

/// Tells systemd that the collector lives, as long as it is healthy.
pub struct Watchdog {
    every: Option<Duration>,
}

impl Watchdog {
    /// As systemd asks for it; silent without systemd.
    pub fn from_environment() -> Self {
        let mut usec = 0;
        let asked = sd_notify::watchdog_enabled(false, &mut usec);
        Self { every: asked.then(|| Duration::from_micros(usec) / 2) }
    }

    /// Tells it until shutdown.
    pub async fn run(self, health: Arc<Health>, shutdown: CancellationToken) {
        let Some(every) = self.every else { return };
        while waits(&shutdown, every).await {
            let failing = health.failing().await;
            // A full disk is told and survived; a store that does not answer at all needs a restart.
            if failing.iter().any(|(check, _)| *check == STORE_SILENT) {
                tracing::error!(?failing, "not healthy; systemd is not told otherwise");
                continue;
            }
            notify(&[sd_notify::NotifyState::Watchdog]);
        }
    }
}

/// Tells systemd something, if it is there.
pub fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, states) {
        tracing::debug!(%error, "cannot tell systemd");
    }
}

/// Waits; false if the shutdown came first.
pub(super) async fn waits(shutdown: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => true,
        () = shutdown.cancelled() => false,
    }
}
