//! Durable heartbeats and reports a second on a PostgreSQL server of the bench's own: by the store alone, and over mutual
//! TLS with one, two and three collectors on one database.
//!
//! Server, collectors and the generator of the load share this machine, so each row is followed by who used its cores:
//! where they are used up, another collector can add nothing, and where it would is on more machines.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use farmwatch_tests::load::{Laptop, enrol_many};
use farmwatch_tests::postgres::Server;
use farmwatch_tests::world::Collector;

use crate::ingest::alone;
use crate::machine::{busy_seconds, cores, cpu_seconds, family_cpu_seconds};
use crate::row::{Bound, Row};
use crate::senders::{LAPTOPS, ready, send_all};

/// The bench's databases lie here: on a disk, as no temporary folder is bound to be, and open to the server's user.
const PLACE: &str = "/var/tmp";
/// What the tests' server turns off, turned on again; and a quarter of a gigabyte of cache.
const SETTINGS: [&str; 4] =
    ["fsync=on", "full_page_writes=on", "synchronous_commit=on", "shared_buffers=256MB"];
/// Collectors on one database.
const MOST: usize = 3;
/// Requests that each laptop has ready beforehand for each second.
const READY_A_SECOND: u64 = 40;

/// The store alone, then the curve.
pub fn measure(span: Duration) -> anyhow::Result<Vec<Row>> {
    let server = Server::start_in(Path::new(PLACE), &SETTINGS)?;
    let alone = alone(span, Some(&server.url("postgres")))?;
    let mut rows = Vec::new();
    for name in ["heartbeats", "reports"] {
        let (store, direct) = alone.get(name).copied().context("bench_store printed no such row")?;
        rows.push(Row::beside(
            &format!("PostgreSQL: {name}, the store alone"),
            (store, "/s"),
            ("direct batched SQL", direct),
            Bound::AtLeast(0.5),
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    rows.extend(runtime.block_on(curve(&server, span))?);
    Ok(rows)
}

async fn curve(server: &Server, span: Duration) -> anyhow::Result<Vec<Row>> {
    server.create("farmwatch")?;
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let mut first = Collector::init_on(&folder.path().join("0"), &[], Some(&server.url("farmwatch")))?;
    first.start()?;
    let mut laptops = enrol_many(&first, 1, LAPTOPS).await?;
    let mut collectors = vec![first];
    let mut rows = Vec::new();
    let mut firsts: [Option<f64>; 2] = [None; 2];
    for count in 1..=MOST {
        if collectors.len() < count {
            let mut next = collectors[0].beside(&folder.path().join(count.to_string()))?;
            next.start()?;
            collectors.push(next);
        }
        for ((heartbeats, name), single) in
            [(true, "heartbeats"), (false, "reports")].into_iter().zip(&mut firsts)
        {
            for (laptop, collector) in laptops.iter_mut().zip(collectors.iter().cycle()) {
                laptop.line.move_to(collector.agents_port);
            }
            // What the run before left to be written is not this one's.
            server.sql("postgres", "CHECKPOINT")?;
            let (back, used) = run(server, &mut collectors, laptops, heartbeats, span).await?;
            laptops = back;
            let plural = if count == 1 { "collector" } else { "collectors" };
            let what = format!("PostgreSQL, {count} {plural}: {name} over mutual TLS");
            let one = *single.get_or_insert(used.each_second);
            rows.extend(used.rows(&what, one));
        }
    }
    Ok(rows)
}

/// What came through, and who used the processor meanwhile, in seconds of a core for each second.
struct Used {
    each_second: f64,
    database: f64,
    collectors: f64,
    generator: f64,
    others: f64,
}

impl Used {
    fn idle(&self) -> f64 {
        (cores() - self.database - self.collectors - self.generator - self.others).max(0.0)
    }

    fn rows(&self, what: &str, one: f64) -> Vec<Row> {
        let cores = cores() * 100.0;
        let all = ("of the cores'", cores);
        let share = |of: &str, used: f64| {
            Row::beside(&format!("  CPU of {of}"), (used * 100.0, "%"), all, Bound::None)
        };
        vec![
            Row::beside(what, (self.each_second, "/s"), ("one collector", one), Bound::None),
            share("the database", self.database),
            share("the collectors", self.collectors),
            share("the generator", self.generator),
            share("whatever else ran on the machine", self.others),
            Row::beside("  CPU that nobody used", (self.idle() * 100.0, "%"), all, Bound::None),
        ]
    }
}

async fn run(
    server: &Server,
    collectors: &mut [Collector],
    laptops: Vec<Laptop>,
    heartbeats: bool,
    span: Duration,
) -> anyhow::Result<(Vec<Laptop>, Used)> {
    let requests = usize::try_from(READY_A_SECOND * span.as_secs())?;
    let ready = ready(laptops, heartbeats, requests).await?;
    let pids =
        collectors.iter_mut().map(|collector| Ok(collector.program().context("it was not started")?.id()));
    let pids = pids.collect::<anyhow::Result<Vec<u32>>>()?;
    let database = postmaster(server)?;
    let cpu = || {
        let collectors = pids.iter().map(|pid| cpu_seconds(*pid)).sum::<anyhow::Result<f64>>()?;
        let own = cpu_seconds(std::process::id())?;
        anyhow::Ok([family_cpu_seconds(database)?, collectors, own, busy_seconds()?])
    };
    let taken =
        || collectors.iter().map(|c| c.metric("farmwatch_ingest_reports_total")).sum::<anyhow::Result<f64>>();
    let (before, taken_before) = (cpu()?, taken()?);
    let (laptops, sent, seconds) = send_all(ready, heartbeats, span).await?;
    let (after, taken) = (cpu()?, taken()? - taken_before);
    ensure!(taken >= sent as f64, "{sent} acknowledged, but the collectors count {taken}");
    let each = |n: usize| (after[n] - before[n]) / seconds;
    let each_second = sent as f64 / seconds;
    let (database, collectors, generator) = (each(0), each(1), each(2));
    // All are counted in hundredths of a second, so small differences may be below nothing.
    let others = (each(3) - database - collectors - generator).max(0.0);
    Ok((laptops, Used { each_second, database, collectors, generator, others }))
}

/// Process that all others of the server come from.
fn postmaster(server: &Server) -> anyhow::Result<u32> {
    let path = server.folder().join("data/postmaster.pid");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines().next().and_then(|line| line.trim().parse().ok()).context("no process id in postmaster.pid")
}
