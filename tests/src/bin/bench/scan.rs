//! A scan of a machine with many processes, beside `ps aux` on the same machine, turn by turn.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use farmwatch_tests::world::binary;

use crate::machine::Crowd;
use crate::row::{Bound, Row, median};

/// Processes on the machine.
const PROCESSES: usize = 2000;

/// As many turns of each.
pub fn measure(turns: u32) -> anyhow::Result<Vec<Row>> {
    let _crowd = Crowd::of(PROCESSES)?;
    let agent = binary("farmwatch-agent")?;
    let (mut scans, mut lists) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        scans.push(timed(Command::new(&agent).args(["scan", "--json"]))?);
        lists.push(timed(Command::new("ps").arg("aux"))?);
    }
    let (scan, list) = (median(&mut scans), median(&mut lists));
    let what = format!("farmwatch-agent scan, {PROCESSES} processes, median of {turns}");
    Ok(vec![Row::beside(&what, (scan * 1e3, "ms"), ("ps aux", list * 1e3), Bound::AtMost(1.0))])
}

fn timed(command: &mut Command) -> anyhow::Result<f64> {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(start.elapsed().as_secs_f64())
}
