//! Lines a second of `replay`, beside only parsing them.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::ensure;
use farmwatch_shared::report::Report;
use farmwatch_tests::fleet::{Fleet, Parameters, SMALL};
use farmwatch_tests::world::{binary, run};
use serde::Deserialize;

use crate::row::{Bound, Row};

/// What the parser reads of a line.
#[derive(Deserialize)]
struct Read {
    report: Report,
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
