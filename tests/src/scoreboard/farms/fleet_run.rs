//! One fleet through the collector's replay: what is true of each laptop, and what was said of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use farmwatch_collector::app::App;
use farmwatch_collector::replay::{Replay, Told};
use farmwatch_collector::store::{AlertKind, DeviceFilter, Page, SharedStore, sqlite};
use farmwatch_shared::id::{AlertId, DeviceId};
use farmwatch_shared::judge::JudgedSite;
use farmwatch_shared::waterfall::Bar;
use farmwatch_shared::weights::Weights;
use jiff::Timestamp;

use super::baselines::{Baselines, KINDS};
use crate::fleet::{Fleet, Label, Parameters, told};
use crate::scoreboard::row::Row;

/// What the audit says where quarantine, in its dry run, would isolate.
const WOULD_ISOLATE: &str = "dry_run: would isolate";
/// Devices, or entries of the audit, read at once.
const PAGE: u32 = 1000;

/// A fleet to live.
#[derive(Clone)]
pub struct Order {
    /// Its parameters.
    pub parameters: Parameters,
    /// What the collector judges with.
    pub weights: Weights,
    /// Its seed.
    pub seed: u64,
    /// Its days.
    pub days: u32,
}

/// A fleet that has lived.
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// Its days.
    pub days: u32,
    /// All of its traffic went through the company's VPN.
    pub always_on_vpn: bool,
    /// Share of laptops that stand in a farm, in the world.
    pub base_rate: f64,
    /// Its laptops, by number.
    pub laptops: Vec<Judged>,
    /// Alerts: each once, with everybody whom it named.
    pub alerts: BTreeMap<AlertId, Raised>,
    /// Reports replayed.
    pub reports: u64,
    /// Reports that were not taken.
    pub refused: usize,
    /// Seconds that it took.
    pub seconds: f64,
}

/// A laptop: what is true and what was said.
pub struct Judged {
    /// What is true.
    pub label: Label,
    /// First time that each baseline named it.
    pub baselines: [Option<Timestamp>; KINDS],
    /// First time that a device alert named it.
    pub device: Option<Timestamp>,
    /// Quarantine, in its dry run, said that it would isolate it.
    pub cut_off: bool,
    /// P(farm-operated) at the end, with its site's if it is in one.
    pub posterior: f64,
    /// What its own judgement rests on at the end.
    pub bars: Vec<Bar>,
    /// P(farm) of the site that it is in at the end, and what that rests on.
    pub site: Option<(f64, Vec<Bar>)>,
}

/// An alert.
pub struct Raised {
    /// Its kind.
    pub kind: AlertKind,
    /// When each laptop was first named.
    pub laptops: BTreeMap<usize, Timestamp>,
    /// The most that was said of it.
    pub posterior: Option<f64>,
    /// What that rests on.
    pub bars: Vec<Bar>,
}

impl Raised {
    /// Nothing is known of it yet.
    pub fn new(kind: AlertKind) -> Self {
        Self { kind, laptops: BTreeMap::new(), posterior: None, bars: Vec::new() }
    }

    /// It would be raised at a threshold, too.
    pub fn reaches(&self, threshold: f64) -> bool {
        self.posterior.is_none_or(|most| most >= threshold)
    }
}

impl Run {
    /// There are farms in it.
    pub fn has_farms(&self) -> bool {
        self.laptops.iter().any(|laptop| laptop.label.farm.is_some())
    }

    /// Months that so many laptops were watched.
    pub fn months(&self, laptops: usize) -> f64 {
        laptops as f64 * f64::from(self.days) / 30.0
    }

    /// Laptops of each farm.
    pub fn farms(&self) -> BTreeMap<u32, Vec<usize>> {
        let mut farms: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, laptop) in self.laptops.iter().enumerate() {
            if let Some(farm) = laptop.label.farm {
                farms.entry(farm).or_default().push(index);
            }
        }
        farms
    }

    /// Whether an alert of a kind names a laptop.
    pub fn named(&self, kind: AlertKind, laptop: usize) -> bool {
        self.alerts.values().any(|alert| alert.kind == kind && alert.laptops.contains_key(&laptop))
    }

    /// When a site alert first named at least so many of some laptops.
    pub fn site_alert(&self, of: &[usize], at_least: usize) -> Option<Timestamp> {
        self.site_alert_from(0.0, of, at_least)
    }

    /// The same, of alerts that reach a threshold.
    pub fn site_alert_from(&self, threshold: f64, of: &[usize], at_least: usize) -> Option<Timestamp> {
        let sites =
            self.alerts.values().filter(|alert| alert.kind == AlertKind::Site && alert.reaches(threshold));
        let times = sites.filter_map(|alert| {
            let mut named: Vec<Timestamp> =
                of.iter().filter_map(|index| alert.laptops.get(index)).copied().collect();
            named.sort();
            named.get(at_least - 1).copied()
        });
        times.min()
    }
}

/// Lives a fleet and replays it.
pub fn live(order: Order) -> anyhow::Result<Run> {
    let start = Instant::now();
    let base_rate = order.parameters.farms.base_rate;
    let until = "2026-11-20T00:00:00Z".parse()?;
    let fleet = Fleet::new(order.parameters, order.seed, order.days, until)?;
    let labels: Vec<Label> = fleet.labels().collect();
    let always_on_vpn = fleet.is_always_on_vpn();
    let numbers: BTreeMap<DeviceId, usize> =
        labels.iter().enumerate().map(|(index, label)| (label.device.clone(), index)).collect();
    let places = told::places(&fleet)?;
    let mut baselines = Baselines::new(labels.len(), &places);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thresholds = order.weights.threshold.clone();
    let mut app = App::fixed(sqlite::in_memory()?, told::policy()?);
    app.weights = order.weights.into();
    let store = Arc::clone(&app.store);
    let mut replay = runtime.block_on(Replay::new(app, true, told::assets(&fleet), places))?;

    let mut alerts: BTreeMap<AlertId, Raised> = BTreeMap::new();
    let mut take = |told: Vec<Told>| {
        let stands = |alert: &Told| {
            let least = if alert.kind == AlertKind::Device { thresholds.device } else { thresholds.site };
            alert.posterior.is_none_or(|posterior| posterior >= least)
        };
        for alert in told.into_iter().filter(stands) {
            let known = alerts.entry(alert.id).or_insert_with(|| Raised::new(alert.kind));
            for device in &alert.devices {
                if let Some(index) = numbers.get(device) {
                    known.laptops.entry(*index).or_insert(alert.at);
                }
            }
            if known.bars.is_empty() || alert.posterior > known.posterior {
                (known.posterior, known.bars) = (alert.posterior, alert.waterfall);
            }
        }
    };
    let (mut reports, mut refused, mut text) = (0, 0, Vec::new());
    fleet.live(|line| -> anyhow::Result<()> {
        if let Some(index) = numbers.get(&line.report.device) {
            baselines.see(*index, &line);
        }
        text.clear();
        serde_json::to_writer(&mut text, &line)?;
        take(runtime.block_on(replay.line(&text))?);
        refused += replay.take_refused().len();
        reports += 1;
        Ok(())
    })?;
    take(runtime.block_on(replay.finish())?);
    refused += replay.take_refused().len();
    let mut said = runtime.block_on(said(&store))?;
    let device = |index: usize| {
        let of_device = alerts.values().filter(|alert| alert.kind == AlertKind::Device);
        of_device.filter_map(|alert| alert.laptops.get(&index)).min().copied()
    };
    let laptops = labels.into_iter().enumerate().map(|(index, label)| {
        let Said { own, site, cut_off } = said.remove(&label.device).unwrap_or_default();
        let there = site.as_ref().and_then(|site| site.devices.get(&label.device).copied());
        Judged {
            baselines: baselines.first(index),
            device: device(index),
            cut_off,
            posterior: there.unwrap_or(own.posterior),
            bars: own.bars,
            site: site.map(|site| (site.farm, site.bars)),
            label,
        }
    });
    let (seed, days, laptops) = (order.seed, order.days, laptops.collect());
    let seconds = start.elapsed().as_secs_f64();
    Ok(Run { seed, days, always_on_vpn, base_rate, laptops, alerts, reports, refused, seconds })
}

/// What was said of a device by the end.
#[derive(Default)]
struct Said {
    own: farmwatch_shared::judge::Judged,
    /// Its site's judgement if it is in one.
    site: Option<JudgedSite>,
    /// Quarantine would have isolated it at some time.
    cut_off: bool,
}

async fn said(store: &SharedStore) -> anyhow::Result<BTreeMap<DeviceId, Said>> {
    let mut all = BTreeMap::new();
    let mut page = Page::first(PAGE);
    loop {
        let devices = store.devices(&DeviceFilter::default(), &page).await?;
        let (last, full) = (devices.last().map(|last| last.id.to_string()), devices.len() == PAGE as usize);
        for device in devices {
            let site = match &device.site {
                Some(site) => store.site(site).await?.map(|site| site.judged),
                None => None,
            };
            let audit = store.audit_entries(Some(device.id.as_str()), &Page::first(PAGE)).await?;
            let cut_off = audit.iter().any(|entry| entry.entry.why.starts_with(WOULD_ISOLATE));
            all.insert(device.id, Said { own: device.judged.unwrap_or_default(), site, cut_off });
        }
        match last {
            Some(last) if full => page.after = Some(last),
            _ => return Ok(all),
        }
    }
}

/// What was lived.
pub fn rows(runs: &[Run]) -> Vec<Row> {
    let notes = runs.iter().map(|run| {
        let farms: BTreeSet<u32> = run.laptops.iter().filter_map(|laptop| laptop.label.farm).collect();
        format!(
            "seed {}: {} laptops, {} in {} farms, {} days, {} reports, {:.0} device-days/s of simulation and replay{}",
            run.seed,
            run.laptops.len(),
            run.laptops.iter().filter(|laptop| laptop.label.farm.is_some()).count(),
            farms.len(),
            run.days,
            run.reports,
            run.laptops.len() as f64 * f64::from(run.days) / run.seconds,
            if run.always_on_vpn { ", always-on VPN" } else { "" }
        )
    });
    let notes: Vec<String> = notes.collect();
    let reports = runs.iter().map(|run| run.reports).sum::<u64>();
    let refused = runs.iter().map(|run| run.refused).sum();
    let reports = usize::try_from(reports).unwrap_or(usize::MAX);
    vec![Row::share("reports that the collector refused", refused, reports).at_most(0.0).notes(notes)]
}
