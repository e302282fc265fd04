//! Lines a second of `replay`, beside only parsing them; device-days a second of a fleet that is streamed into it.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use farmwatch_shared::report::Report;
use farmwatch_tests::fleet::{Fleet, Parameters, SMALL, TEST};
use farmwatch_tests::world::{binary, run};
use serde::Deserialize;

use crate::row::{Bound, Row};

/// What the parser reads of a line.
#[derive(Deserialize)]
struct Read {
    report: Report,
}

/// Reach: a fleet of so many laptops, so many days, in so many minutes on two cores, the simulator on one of them.
const GOAL: (f64, f64, f64) = (20_000.0, 14.0, 15.0);
/// Farms are rarer than in `test.toml`, but one at least is there.
const LAPTOPS_A_FARM: u32 = 25_000;

/// Streams a fleet from the simulator into `replay`, with what IT knows of it.
///
/// The extrapolation assumes that a device-day costs the same in a larger fleet: ask for the fleet itself to know.
pub fn measure_stream(laptops: u32, days: u32) -> anyhow::Result<Vec<Row>> {
    let mut parameters = Parameters::with(TEST)?;
    parameters.fleet.laptops = laptops;
    parameters.farms.drawn = (laptops / LAPTOPS_A_FARM).max(1);
    let fleet = Fleet::new(parameters, 1, days, "2026-11-20T00:00:00Z".parse()?)?;
    let folder = tempfile::tempdir()?;
    let [assets, places] = ["assets.csv", "places.toml"].map(|name| folder.path().join(name));
    std::fs::write(&assets, fleet.assets())?;
    std::fs::write(&places, fleet.sanctioned())?;

    let start = Instant::now();
    let mut replay = Command::new(binary("farmwatch-collector")?)
        .args(["replay", "-", "--json", "--assets"])
        .arg(&assets)
        .arg("--places")
        .arg(&places)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut out = BufWriter::with_capacity(1 << 20, replay.stdin.take().context("no pipe into replay")?);
    let mut lines = 0u64;
    let streamed = fleet.live(|line| -> anyhow::Result<()> {
        lines += 1;
        serde_json::to_writer(&mut out, &line)?;
        Ok(out.write_all(b"\n")?)
    });
    let flushed = out.flush();
    drop(out);
    let status = replay.wait()?;
    ensure!(status.success(), "replay failed: {status}");
    streamed?;
    flushed?;

    let seconds = start.elapsed().as_secs_f64();
    let lived = f64::from(laptops) * f64::from(days);
    let (goal_laptops, goal_days, goal_minutes) = GOAL;
    let minutes = seconds / 60.0 * goal_laptops * goal_days / lived;
    let what = format!("replay of {goal_laptops} laptops over {goal_days} days, from {laptops} over {days}");
    let note = format!(
        "{:.0} device-days/s and {:.0} lines/s, simulator included ({lines} lines in {seconds:.0} s)",
        lived / seconds,
        lines as f64 / seconds
    );
    Ok(vec![Row::at_most(&what, minutes, goal_minutes, "min").noted(vec![note])])
}

/// Replays a small fleet's days.
pub fn measure(days: u32) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("fleet.ndjson");
    let fleet = Fleet::new(Parameters::with(SMALL)?, 1, days, "2026-11-20T00:00:00Z".parse()?)?;
    let laptops = fleet.devices().count();
    let mut out = BufWriter::new(std::fs::File::create(&path)?);
    let mut lines = 0u32;
    fleet.live(|line| -> anyhow::Result<()> {
        lines += 1;
        serde_json::to_writer(&mut out, &line)?;
        Ok(out.write_all(b"\n")?)
    })?;
    out.flush()?;

    let start = Instant::now();
    let mut read = 0u32;
    for line in BufReader::new(std::fs::File::open(&path)?).lines() {
        let line: Read = serde_json::from_str(&line?)?;
        read += u32::from(line.report.seq > 0);
    }
    ensure!(read == lines, "{read} of {lines} lines read back");
    let parsed = f64::from(lines) / start.elapsed().as_secs_f64();
    let start = Instant::now();
    run(Command::new(binary("farmwatch-collector")?).arg("replay").arg(&path).stdin(Stdio::null()))?;
    let replayed = f64::from(lines) / start.elapsed().as_secs_f64();
    let what = format!("replay of {laptops} laptops over {days} days ({lines} lines)");
    Ok(vec![Row::beside(&what, (replayed, "lines/s"), ("parsing alone", parsed), Bound::None)])
}
