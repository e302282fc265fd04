//! Replay: recorded reports through the same ingest, correlation and alert code, on simulated time.
//!
//! Time is that of the lines, ids are drawn in sequence, everything is in memory: the same lines give the same
//! alerts. The format of lines and alerts is documented in `docs/formats.md` and stable.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use farmwatch_shared::facts::Host;
use farmwatch_shared::id::{AlertId, DeviceId, KeyedHash};
use farmwatch_shared::report::Report;
use farmwatch_shared::state::FactKey;
use farmwatch_shared::waterfall::Bar;
use farmwatch_shared::wire::MAX_FACTS;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::peer::Peer;
use crate::app::App;
use crate::correlate::{check_silence, judge_devices};
use crate::ingest::{Ingest, Places, Refused};
use crate::store::{Alert, AlertKind, Asset, Device, Place, WINDOWS_WAIT};

/// Lines that arrive within this time are judged together, as a running collector does.
const TOGETHER: SignedDuration = SignedDuration::from_secs(1);
/// Most lines that wait to be judged.
const MOST_WAITING: usize = 256;
/// Between looks for silent agents, in simulated time.
const SILENCE: SignedDuration = SignedDuration::from_hours(1);
/// Devices judged at once.
const BATCH: u32 = 256;

/// A line: a report, and what the collector saw of its arrival.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    received_at: Timestamp,
    source_ip: IpAddr,
    report: Report,
    #[serde(default)]
    observed: Observed,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Observed {
    rtt_ms: Option<u32>,
    mss: Option<u32>,
}

impl Line {
    /// Reads one. This takes as long as all the rest does with a line, and needs nothing of it.
    pub fn read(text: &[u8]) -> anyhow::Result<Self> {
        let line: Self = serde_json::from_slice(text).context("not a line of a replay")?;
        let report = &line.report;
        let most = report.set.len().max(report.gone.len()).max(report.windows.len());
        anyhow::ensure!(
            most.max(report.transitions.len()) <= MAX_FACTS,
            "more than {MAX_FACTS} facts or windows"
        );
        Ok(line)
    }
}

/// An alert that was raised or materially changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// When, by the lines' time.
    pub at: Timestamp,
    /// Its kind.
    pub kind: AlertKind,
    /// Its id; the same alert again is an update.
    pub id: AlertId,
    /// Whose it is.
    pub devices: Vec<DeviceId>,
    /// P(farm-operated) or P(farm); none for policy alerts.
    pub posterior: Option<f64>,
    /// The sum.
    pub waterfall: Vec<Bar>,
    /// In a few words, for people.
    #[serde(skip)]
    pub title: String,
}

/// A replay under way.
pub struct Replay {
    app: Arc<App>,
    judges: bool,
    ingest: Ingest,
    waiting: BTreeMap<DeviceId, Vec<(Peer, Report)>>,
    lines: usize,
    from: Timestamp,
    now: Timestamp,
    looked: Option<Timestamp>,
    seen: std::collections::BTreeSet<DeviceId>,
    /// What was not taken, with its reason, since it was last asked for.
    refused: Vec<String>,
}

impl Replay {
    /// A replay into an app's store. The places' gateways are given as the reports have them. Where a running
    /// collector judges what is in that store, `judges` is false: the reports are only taken.
    pub async fn new(app: App, judges: bool, assets: Vec<Asset>, places: Vec<Place>) -> anyhow::Result<Self> {
        app.store.put_assets(assets).await?;
        for mut place in places {
            for gateway in &mut place.gateways {
                if let Some(hash) = KeyedHash::parse(gateway) {
                    crate::ingest::hash_again(&hash, &app.hash_key).as_str().clone_into(gateway);
                }
            }
            app.store.put_place(place).await?;
        }
        let app = Arc::new(app);
        Ok(Self {
            ingest: Ingest::new(Arc::clone(&app), Places::default()),
            app,
            judges,
            waiting: BTreeMap::new(),
            lines: 0,
            from: Timestamp::UNIX_EPOCH,
            now: Timestamp::UNIX_EPOCH,
            looked: None,
            seen: std::collections::BTreeSet::new(),
            refused: Vec::new(),
        })
    }

    /// Reads a line and takes it. A bad line changes nothing.
    pub async fn line(&mut self, text: &[u8]) -> anyhow::Result<Vec<Told>> {
        self.take(Line::read(text)?).await
    }

    /// Takes a line; gives the alerts that time brought before it.
    pub async fn take(&mut self, line: Line) -> anyhow::Result<Vec<Told>> {
        let told =
            if self.lines > 0 && (line.received_at >= self.from + TOGETHER || self.lines >= MOST_WAITING) {
                self.pass().await?
            } else {
                Vec::new()
            };
        if self.lines == 0 {
            self.from = line.received_at.max(self.now);
        }
        self.now = self.now.max(line.received_at);
        self.lines += 1;
        let peer = Peer {
            device: line.report.device.clone(),
            certificate: String::new(),
            address: SocketAddr::new(line.source_ip, 0),
            rtt_ms: line.observed.rtt_ms,
            mss: line.observed.mss,
        };
        self.meet(&line.report, self.now).await?;
        self.waiting.entry(line.report.device.clone()).or_default().push((peer, line.report));
        Ok(told)
    }

    /// Judges what still waits, at the last line's time, though some of it would have waited longer.
    pub async fn finish(&mut self) -> anyhow::Result<Vec<Told>> {
        let mut told = self.pass().await?;
        if self.judges {
            told.extend(self.judge(self.now + WINDOWS_WAIT).await?);
        }
        Ok(told)
    }

    /// What was not taken since this was last asked for: sentences.
    pub fn take_refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refused)
    }

    async fn pass(&mut self) -> anyhow::Result<Vec<Told>> {
        let now = self.now;
        let waiting = std::mem::take(&mut self.waiting);
        self.lines = 0;
        // One device's reports in order; different devices' at once, so that a store on disk syncs once for many.
        let ingest = &self.ingest;
        let taken = waiting.into_values().map(|reports| async move {
            let mut refused = Vec::new();
            for (peer, report) in reports {
                if let Err(error) = ingest.take(vec![report], &peer, now).await {
                    refused.push((peer.device, error));
                }
            }
            refused
        });
        for (device, refused) in futures_util::future::join_all(taken).await.into_iter().flatten() {
            if let Refused::Store(why) = refused {
                anyhow::bail!("the store takes nothing more: {why}");
            }
            self.refused.push(format!("{device}: {}", why(&refused)));
        }
        if !self.judges {
            return Ok(Vec::new());
        }
        let mut all = self.judge(now).await?;
        if self.looked.is_none_or(|looked| looked + SILENCE <= now) {
            if self.looked.is_some() {
                let silent = check_silence(&self.app, now).await?;
                all.extend(silent.into_iter().map(|alert| told(alert, now)));
            }
            self.looked = Some(now);
        }
        Ok(all)
    }

    /// Judges, at the last line's time, what is due by a time.
    async fn judge(&self, due: Timestamp) -> anyhow::Result<Vec<Told>> {
        let mut all = Vec::new();
        loop {
            let ids = self.app.store.take_work(BATCH, due).await?;
            if ids.is_empty() {
                return Ok(all);
            }
            let alerts = judge_devices(&self.app, &ids, self.now).await;
            all.extend(alerts.into_iter().map(|alert| told(alert, self.now)));
        }
    }

    /// A device that is not known is added at first sight.
    async fn meet(&mut self, report: &Report, now: Timestamp) -> anyhow::Result<()> {
        if self.seen.contains(&report.device) {
            return Ok(());
        }
        if self.app.store.device(&report.device).await?.is_none() {
            self.app.store.add_device(unknown(report, now)).await?;
        }
        self.seen.insert(report.device.clone());
        Ok(())
    }
}

fn unknown(report: &Report, now: Timestamp) -> Device {
    let host = report.set.get(&FactKey::of::<Host>("self")).and_then(|value| Host::deserialize(value).ok());
    Device {
        serial: host.as_ref().and_then(|host| host.serial.clone()),
        hostname: host.as_ref().map(|host| host.hostname.clone()).unwrap_or_default(),
        os: host.map(|host| host.os).unwrap_or_default(),
        machine: report.machine.clone(),
        ..Device::new(report.device.clone(), now)
    }
}

fn told(alert: Alert, at: Timestamp) -> Told {
    let Alert { kind, id, devices, posterior, waterfall, title, .. } = alert;
    Told { at, kind, id, devices, posterior, waterfall, title }
}

fn why(refused: &Refused) -> String {
    match refused {
        Refused::Foreign { named } => format!("the report names {named}"),
        Refused::Unknown => "the device is revoked".to_owned(),
        Refused::Conflict { why } => format!("conflict: {why}"),
        Refused::Fault { why, .. } | Refused::Store(why) => why.clone(),
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
