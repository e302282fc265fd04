//! A collector with very many laptops, on SQLite: its memory, its file, and how long the console's pages take.
//!
//! The laptops are the simulator's, with a day of their reports, taken by `replay --into-state`; then the collector is
//! started on that file, judges them all, and its pages are fetched as a browser does. It logs its queries, and each is
//! explained by SQLite on the same file.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use farmwatch_tests::fleet::{Fleet, Parameters, SANCTIONED, TEST};
use farmwatch_tests::web::Session;
use farmwatch_tests::world::Collector;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::machine::{memory, most_memory};
use crate::row::{Bound, Row, median};

/// Longest that a page may take, in milliseconds.
const PAGE: f64 = 100.0;
/// Most memory, in MB.
const MEMORY: f64 = 2000.0;
/// Times that each page is fetched, after a first time.
const TIMES: usize = 9;
/// Longest wait until all are judged.
const JUDGED_WITHIN: Duration = Duration::from_hours(2);
/// What has the collector log its queries.
const QUERIES: &str = "info,farmwatch_collector::store::queries=debug";

/// A fleet of so many laptops.
pub fn measure(laptops: u32) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let tools = format!("sanctioned_tools = {SANCTIONED:?}");
    let policy = [("\nsanctioned_tools = []", &*format!("\n{tools}")), ("version = 1", "version = 2")];
    let mut collector = Collector::init(folder.path(), &policy)?;
    let filled = fill(&mut collector, laptops)?;
    let database = folder.path().join("farmwatch.db");
    let conn = read(&database)?;
    let number = |sql: &str| anyhow::Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))? as f64);
    let devices = number("SELECT count(*) FROM device")?;
    collector.start()?;
    let pid = |collector: &mut Collector| anyhow::Ok(collector.program().context("it was not started")?.id());
    let judging: u32 = pid(&mut collector)?;
    let start = Instant::now();
    // What is due later waits, however long this takes.
    while number("SELECT count(*) FROM work WHERE due_at <= 1000 * unixepoch()")? > 0.0 {
        ensure!(start.elapsed() < JUDGED_WITHIN, "devices still wait to be judged after {JUDGED_WITHIN:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let judged = devices / start.elapsed().as_secs_f64();
    let busiest = most_memory(judging)?;
    collector.stop();
    let megabytes = size(&database) / 1e6;
    let plain = |what: &str, value, beside| Row::beside(what, value, beside, Bound::None);
    let reported = format!("{laptops} laptops: those that reported in a day");
    let mut rows = vec![
        plain(&reported, (devices, ""), ("of", f64::from(laptops))),
        plain(
            "  reports taken a second",
            (filled.lines as f64 / filled.seconds, ""),
            ("of", filled.lines as f64),
        ),
        Row::at_most("  memory while they were taken, most", filled.memory, MEMORY, "MB"),
        plain("  laptops judged a second", (judged, ""), ("of", devices)),
        Row::at_most("  memory while they were judged, most", busiest, MEMORY, "MB"),
        plain("  database, for each", (megabytes * 1e3 / devices, "kB"), ("in all", megabytes * 1e3)),
        plain(
            "  sites",
            (number("SELECT count(*) FROM site")?, ""),
            ("alerts", number("SELECT count(*) FROM alert")?),
        ),
    ];
    collector.set_environment("FARMWATCH_LOG__LEVEL", QUERIES);
    collector.set_environment("FARMWATCH_LOG__JSON", "true");
    collector.start()?;
    let console = Session::log_in(collector.console_port, &collector.password)?;
    let mut queries = BTreeMap::new();
    for (what, path) in pages(&conn)? {
        rows.extend(page(&collector, &console, what, &path, &mut queries)?);
    }
    let resident = memory(pid(&mut collector)?)?.resident;
    rows.push(Row::at_most(
        "  memory of a collector that was just started, after these",
        resident,
        MEMORY,
        "MB",
    ));
    for (sql, milliseconds) in queries {
        let short: String = sql.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(70).collect();
        rows.push(
            Row::at_most(&format!("  query {short}"), milliseconds, PAGE, "ms").noted(plan(&conn, &sql)?),
        );
    }
    Ok(rows)
}

/// How filling went.
struct Filled {
    lines: u64,
    seconds: f64,
    /// The most that it took, in MB.
    memory: f64,
}

/// Has the collector's own replay take a day, in memory where there is room: it commits each second of that
/// day, and a disk would be waited for most of the time. The file then comes to the collector's folder.
fn fill(collector: &mut Collector, laptops: u32) -> anyhow::Result<Filled> {
    let mut parameters = Parameters::with(TEST)?;
    parameters.fleet.laptops = laptops;
    let fleet = Fleet::new(parameters, 1, 1, after_a_working_day()?)?;
    let (assets, places) = (collector.folder().join("assets.csv"), collector.folder().join("places.toml"));
    std::fs::write(&assets, fleet.assets())?;
    std::fs::write(&places, fleet.sanctioned())?;
    let quick = Path::new("/dev/shm");
    let quick = if has_room(quick, laptops) { Some(tempfile::tempdir_in(quick)?) } else { None };
    let file = quick.as_ref().map(|folder| folder.path().join("farmwatch.db"));
    if let Some(file) = &file {
        make_whole(&collector.folder().join("farmwatch.db"))?;
        std::fs::copy(collector.folder().join("farmwatch.db"), file)?;
        collector.use_store(Some(&format!("sqlite:{}", file.display())));
    }
    let log = std::fs::File::create(collector.folder().join("replay.log"))?;
    let start = Instant::now();
    let mut replay = collector.command(&["replay", "--into-state"])?;
    replay.arg("--assets").arg(&assets).arg("--places").arg(&places).arg("-");
    replay.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    let mut replay = replay.spawn().context("cannot start replay")?;
    let mut out = BufWriter::with_capacity(1 << 20, replay.stdin.take().context("no way to replay")?);
    let (mut lines, mut most) = (0u64, 0.0f64);
    let written = fleet.live(|line| -> anyhow::Result<()> {
        lines += 1;
        if lines.is_multiple_of(10_000) {
            most = most.max(most_memory(replay.id())?);
        }
        serde_json::to_writer(&mut out, &line)?;
        Ok(out.write_all(b"\n")?)
    });
    written.and_then(|()| Ok(out.flush()?)).context("replay takes nothing more; see its log")?;
    drop(out);
    let ended = end(&mut replay, &mut most)?;
    ensure!(ended.success(), "replay ended with {ended}");
    let seconds = start.elapsed().as_secs_f64();
    if let Some(file) = &file {
        make_whole(file)?;
        std::fs::copy(file, collector.folder().join("farmwatch.db")).context("cannot copy the database")?;
        collector.use_store(None);
    }
    Ok(Filled { lines, seconds, memory: most })
}

/// The last midnight (UTC) after a day from Tuesday to Friday.
fn after_a_working_day() -> anyhow::Result<Timestamp> {
    let day = 86_400;
    let mut midnight = Timestamp::now().as_second().div_euclid(day);
    // Day 0 was a Thursday, the fourth after a Sunday.
    while !(2..=5).contains(&(midnight - 1 + 4).rem_euclid(7)) {
        midnight -= 1;
    }
    Ok(Timestamp::from_second(midnight * day)?)
}

/// Whether a database of so many laptops fits, with some room to spare: a day of one takes some 60 kB.
fn has_room(place: &Path, laptops: u32) -> bool {
    rustix::fs::statvfs(place).is_ok_and(|room| room.f_bavail * room.f_frsize > u64::from(laptops) * 100_000)
}

/// Has a database in one file, with no log of changes beside it.
fn make_whole(file: &Path) -> anyhow::Result<()> {
    let conn = Connection::open(file)?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Waits for its end; the most memory until then.
fn end(replay: &mut Child, most: &mut f64) -> anyhow::Result<std::process::ExitStatus> {
    loop {
        if let Some(ended) = replay.try_wait()? {
            return Ok(ended);
        }
        // It may have ended since.
        *most = most.max(most_memory(replay.id()).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Pages, by name, and their addresses.
fn pages(conn: &Connection) -> anyhow::Result<Vec<(&'static str, String)>> {
    let text = |sql: &str| {
        let first = conn.query_row(sql, [], |row| row.get::<_, String>(0));
        first.with_context(|| format!("too few laptops for {sql}"))
    };
    let middle = "(SELECT count(*) / 2 FROM";
    let device = text(&format!("SELECT id FROM device ORDER BY id LIMIT 1 OFFSET {middle} device)"))?;
    let site = text(&format!("SELECT id FROM site ORDER BY farm DESC, id LIMIT 1 OFFSET {middle} site)"))?;
    let alert = text(&format!(
        "SELECT id FROM alert ORDER BY loudness DESC, updated_at DESC, id LIMIT 1 OFFSET {middle} alert)"
    ))?;
    let serial = text("SELECT serial FROM device WHERE serial IS NOT NULL ORDER BY id DESC LIMIT 1")?;
    let user =
        text("SELECT a.user FROM device d JOIN asset a ON a.serial = d.serial ORDER BY d.id DESC LIMIT 1")?;
    let user = user.replace(' ', "+");
    Ok(vec![
        ("queue", "/alerts".into()),
        ("queue, from its middle on", format!("/alerts?state=all&after={alert}")),
        ("queue, search that finds nothing", "/alerts?state=all&q=nothing-is-like-this".into()),
        ("sites", "/sites".into()),
        ("sites, from their middle on", format!("/sites?after={site}")),
        ("one site", format!("/sites/{site}")),
        ("devices", "/devices".into()),
        ("devices, from their middle on", format!("/devices?after={device}")),
        ("devices, search for a serial number", format!("/devices?q={serial}")),
        ("devices, search for a person", format!("/devices?q={user}")),
        ("devices, search that finds nothing", "/devices?q=nothing-is-like-this".into()),
        ("one device", format!("/devices/{device}")),
    ])
}

/// Fetches a page; the first time and the median of others. Notes the queries behind it, with their longest times.
fn page(
    collector: &Collector,
    console: &Session,
    what: &str,
    path: &str,
    queries: &mut BTreeMap<String, f64>,
) -> anyhow::Result<Vec<Row>> {
    let known = collector.said().len();
    let fetch = || {
        let start = Instant::now();
        console.page(path)?;
        anyhow::Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    let first = fetch()?;
    let mut times = (0..TIMES).map(|_| fetch()).collect::<anyhow::Result<Vec<f64>>>()?;
    let said = collector.said();
    for line in said.get(known..).unwrap_or_default().lines() {
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if let (Some(sql), Some(micros)) = (line["sql"].as_str(), line["micros"].as_f64()) {
            let longest = queries.entry(sql.to_owned()).or_default();
            *longest = longest.max(micros / 1e3);
        }
    }
    let note = format!("the first time {first:.0} ms");
    Ok(vec![Row::at_most(&format!("  page: {what}"), median(&mut times), PAGE, "ms").noted(vec![note])])
}

fn read(database: &Path) -> anyhow::Result<Connection> {
    let conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // As the collector has it: plans do not depend on values.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(conn)
}

/// The steps of a statement's plan.
fn plan(conn: &Connection, sql: &str) -> anyhow::Result<Vec<String>> {
    let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let steps = explain.raw_query().mapped(|row| row.get("detail")).collect::<rusqlite::Result<_>>()?;
    Ok(steps)
}

/// Bytes of a database, with what is not yet in its file.
fn size(database: &Path) -> f64 {
    let bytes = |path: PathBuf| std::fs::metadata(path).map_or(0, |file| file.len()) as f64;
    bytes(database.to_owned()) + bytes(database.with_extension("db-wal"))
}
