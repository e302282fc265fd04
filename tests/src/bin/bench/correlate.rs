//! CPU that correlation takes for each report that changed something, over fleets of several sizes.
//!
//! The store is in memory, so commits to a disk are not in it; what it queries and writes is. Counted is the thread's time
//! from taking devices off the queue to their last write, over reports of the first day, when every laptop's habits are new
//! and most reports change what is said of it, and of a later one. What waits to be judged together with later reports is
//! judged before the end, and counted.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::ensure;
use farmwatch_collector::access::peer::Peer;
use farmwatch_collector::app::App;
use farmwatch_collector::correlate::judge_devices;
use farmwatch_collector::ingest::{Ingest, Places};
use farmwatch_collector::store::{Device, WINDOWS_WAIT, sqlite};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::Report;
use farmwatch_tests::fleet::{Fleet, Line, Parameters, TEST, told};
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use crate::row::Row;

/// Reports that are counted at least, and hours, after most of the fleet has told its whole state and been judged on it.
const COUNTED: u64 = 20_000;
const HOURS: SignedDuration = SignedDuration::from_hours(4);
/// Farms are as rare as the base rate has them, and one at least: one laptop in 10,000 stands in one, with one or two more.
const LAPTOPS_A_FARM: u32 = 25_000;
/// Days after which a fleet is counted again, and the largest that is: a million reports until then take minutes.
const LATER: i64 = 5;
const LATER_LAPTOPS: u32 = 10_000;
/// Share of the fleet that has been heard by then; some laptops are away for days.
const HEARD: f64 = 0.8;
/// Devices judged at once, and the time within which reports are judged together, as in replay.
const BATCH: u32 = 256;
const TOGETHER: SignedDuration = SignedDuration::from_secs(1);
/// Reach: microseconds for each report, and how much it may grow from the smallest fleet to the largest.
const MICROS: f64 = 100.0;
const FLAT: f64 = 1.5;

/// One fleet of each size.
pub fn measure(sizes: &[u32]) -> anyhow::Result<Vec<Row>> {
    let (mut rows, mut all) = (Vec::new(), Vec::new());
    for laptops in sizes {
        let first = micros(*laptops, 0)?;
        all.push(first);
        let label = format!("correlation, {laptops} laptops: CPU a changed report");
        rows.push(Row::at_most(&label, first, MICROS, "µs"));
        if *laptops <= LATER_LAPTOPS {
            let label = format!("{label}, {LATER} days later");
            rows.push(Row::at_most(&label, micros(*laptops, LATER)?, MICROS, "µs"));
        }
    }
    if let [smallest, .., largest] = all[..] {
        rows.push(Row::at_most(
            "correlation: the largest of these fleets beside the smallest",
            largest / smallest,
            FLAT,
            "times",
        ));
    }
    Ok(rows)
}

/// Counted from so many days on.
fn micros(laptops: u32, days: i64) -> anyhow::Result<f64> {
    let mut parameters = Parameters::with(TEST)?;
    parameters.fleet.laptops = laptops;
    parameters.farms.drawn = (laptops / LAPTOPS_A_FARM).max(1);
    let until: Timestamp = "2026-11-20T00:00:00Z".parse()?;
    let lived = u32::try_from(days)? + 2;
    let fleet = Fleet::new(parameters, 1, lived, until)?;
    let app = Arc::new(App::fixed(sqlite::in_memory()?, told::policy()?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(app.store.put_assets(told::assets(&fleet)))?;
    for place in told::places(&fleet)? {
        runtime.block_on(app.store.put_place(place))?;
    }
    let mut desk = Desk {
        runtime,
        ingest: Ingest::new(Arc::clone(&app), Places::default()),
        app,
        heard: BTreeSet::new(),
        addresses: HashMap::new(),
        settled: false,
        not_before: until - SignedDuration::from_hours(48),
        from: Timestamp::UNIX_EPOCH,
        began: Timestamp::MAX,
        counted: 0,
        judged: 0,
        cpu: 0.0,
    };
    let wanted = f64::from(laptops) * HEARD;
    let end = fleet.live(|line| match desk.take(line, wanted) {
        Ok(()) if desk.counted >= COUNTED && desk.from >= desk.began + HOURS => Err(Stop::Enough),
        Ok(()) => Ok(()),
        Err(error) => Err(Stop::Failed(error)),
    });
    if let Err(Stop::Failed(error)) = end {
        return Err(error);
    }
    ensure!(desk.counted > 0, "the fleet of {laptops} laptops sent too few reports");
    desk.cpu += desk.judge(desk.from, desk.from + WINDOWS_WAIT)?;
    let judged = desk.judged as f64 / desk.counted as f64;
    println!("  {} reports counted, {judged:.2} judgements for each", desk.counted);
    let micros = desk.cpu * 1e6 / desk.counted as f64;
    desk.heartbeats_cost_nothing()?;
    Ok(micros)
}

enum Stop {
    Enough,
    Failed(anyhow::Error),
}

/// Takes reports and judges, as a collector does.
struct Desk {
    runtime: tokio::runtime::Runtime,
    app: Arc<App>,
    ingest: Ingest,
    heard: BTreeSet<DeviceId>,
    /// Where each was heard from last.
    addresses: HashMap<DeviceId, IpAddr>,
    /// Most of the fleet is known and judged: from here on it is counted.
    settled: bool,
    /// Nor sooner than this.
    not_before: Timestamp,
    from: Timestamp,
    /// When counting began.
    began: Timestamp,
    counted: u64,
    judged: u64,
    cpu: f64,
}

impl Desk {
    fn take(&mut self, line: Line, wanted: f64) -> anyhow::Result<()> {
        let now = line.received_at;
        if self.settled && now >= self.from + TOGETHER {
            self.cpu += self.judge(now, now)?;
            self.from = now;
        }
        let from = self.addresses.insert(line.report.device.clone(), line.source_ip);
        let changed = !line.report.is_heartbeat() || from != Some(line.source_ip);
        self.counted += u64::from(self.settled && changed);
        self.ingest(line.report, SocketAddr::new(line.source_ip, 0), now)?;
        if !self.settled && self.heard.len() as f64 >= wanted && now >= self.not_before {
            self.judge(now, now + WINDOWS_WAIT)?;
            (self.settled, self.from, self.began, self.judged) = (true, now, now, 0);
        }
        Ok(())
    }

    fn ingest(&mut self, report: Report, address: SocketAddr, now: Timestamp) -> anyhow::Result<()> {
        let device = report.device.clone();
        if self.heard.insert(device.clone()) {
            self.runtime.block_on(self.app.store.add_device(Device::new(device.clone(), now)))?;
        }
        let peer = Peer { device, certificate: String::new(), address, rtt_ms: None, mss: None };
        let taken = self.runtime.block_on(self.ingest.take(vec![report], &peer, now));
        // Two agents under one name are part of the fleet's life.
        drop(taken);
        Ok(())
    }

    /// Judges what is due by a time; the CPU seconds that it took.
    fn judge(&mut self, now: Timestamp, due: Timestamp) -> anyhow::Result<f64> {
        let start = cpu();
        self.runtime.block_on(async {
            loop {
                let taken = self.app.store.take_work(BATCH, due).await?;
                if taken.is_empty() {
                    return Ok(cpu() - start);
                }
                self.judged += taken.len() as u64;
                judge_devices(&self.app, &taken, now).await;
            }
        })
    }

    /// Heartbeats from where the laptops are queue nobody.
    fn heartbeats_cost_nothing(&mut self) -> anyhow::Result<()> {
        let now = self.from + SignedDuration::from_hours(1);
        self.judge(now, now + WINDOWS_WAIT)?;
        for id in self.heard.iter().take(1000).cloned().collect::<Vec<_>>() {
            let Some(device) = self.runtime.block_on(self.app.store.device(&id))? else { continue };
            let Some(address) = device.public_address else { continue };
            let report = Report {
                v: 1,
                device: id,
                boot: device.boot,
                seq: device.seq + 1,
                at: now,
                machine: device.machine,
                digest: device.digest,
                whole: false,
                set: Default::default(),
                gone: Vec::new(),
                windows: Vec::new(),
                transitions: Vec::new(),
                dropped_windows: device.dropped_windows,
                other: Default::default(),
            };
            self.ingest(report, SocketAddr::new(address, 0), now)?;
        }
        let waiting = self.runtime.block_on(self.app.store.work_due(Timestamp::MAX))?;
        ensure!(waiting == 0, "{waiting} laptops are judged after nothing but heartbeats");
        Ok(())
    }
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
