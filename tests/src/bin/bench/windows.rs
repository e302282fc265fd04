//! The agent for Windows under Wine, beside Wine's own `ping` and service manager in the same prefix. Memory is what
//! Linux counts of each Wine process, Wine's libraries included; on Windows itself both are smaller.

use std::time::{Duration, Instant};

use anyhow::ensure;
use farmwatch_tests::wine::Laptop;
use farmwatch_tests::world::{Collector, Program, json, run, wait_for};

use crate::machine::memory;
use crate::row::{Bound, Row, median};

const LIMIT: Duration = Duration::from_mins(2);
/// Time in which both processes come to rest.
const SETTLE: Duration = Duration::from_secs(20);

/// The agent was built for Windows: with `--only windows` tests/bench does that.
pub fn is_here() -> bool {
    Laptop::built("release").is_ok()
}

/// Memory, start to first report, and a tool's start to its report, so many times.
pub fn measure(turns: u32) -> anyhow::Result<Vec<Row>> {
    let laptop = Laptop::new("release")?;
    let folder = laptop.path("collector");
    std::fs::create_dir(&folder)?;
    let mut collector = Collector::init(&folder, &[])?;
    collector.start()?;
    let token = collector.token()?;
    let said = json(&mut laptop.agent(&["enrol", "--json", "--url", &collector.url(), "--token", &token]))?;
    let device = said["device"].as_str().unwrap_or_default().to_owned();
    let fact = |key: &str| anyhow::Ok(collector.device(&device)?["facts"][key].clone());

    let mut peers = Vec::new();
    for turn in 0..turns {
        let started = Instant::now();
        run(&mut laptop.system("ping.exe", &["-n", "1", "127.0.0.1"]))?;
        if turn > 0 {
            peers.push(started.elapsed().as_secs_f64());
        }
    }
    let started = Instant::now();
    let agent = Program::start(&mut laptop.agent(&["run"]), &laptop.path("agent.log"))?;
    wait_for("the first report", LIMIT, || Ok(fact("host/self")?.is_object().then_some(())))?;
    let first = started.elapsed().as_secs_f64();

    let ping = laptop.path("winvnc.exe");
    std::fs::copy(Laptop::system_program("ping.exe"), &ping)?;
    let mut seen = Vec::new();
    let mut peer = None;
    for _ in 0..turns {
        drop(peer.take());
        wait_for("the tool to be gone", LIMIT, || Ok(runs(&collector, &device)?.is_none().then_some(())))?;
        let started = Instant::now();
        let arguments = ["-n", "600", "127.0.0.1"];
        peer = Some(Program::start(&mut laptop.wine(&ping, &arguments), &laptop.path("tool.log"))?);
        wait_for("the tool", LIMIT, || runs(&collector, &device))?;
        seen.push(started.elapsed().as_secs_f64());
    }
    std::thread::sleep(SETTLE);
    let own = memory(laptop.process("farmwatch-agent.exe", "run")?)?;
    let other = memory(laptop.process("winvnc.exe", "127.0.0.1")?)?;
    let services = memory(laptop.process("services.exe", "services.exe")?)?;
    let size = std::fs::metadata(laptop.program())?.len();
    drop((agent, peer));
    ensure!(!seen.is_empty() && !peers.is_empty(), "nothing was measured");
    let slowest = seen.iter().copied().fold(0.0, f64::max);
    let plain = |what, value, peer| Row::beside(what, value, peer, Bound::None);
    Ok(vec![
        plain(
            "Windows agent under Wine: resident memory",
            (own.resident, "MB"),
            ("Wine's ping", other.resident),
        ),
        plain(
            "Windows agent under Wine: resident memory",
            (own.resident, "MB"),
            ("Wine's services.exe", services.resident),
        ),
        plain(
            "Windows agent under Wine: anonymous memory",
            (own.anonymous, "MB"),
            ("Wine's ping", other.anonymous),
        ),
        plain(
            "Windows agent under Wine: start to first report",
            (first, "s"),
            ("ping once", median(&mut peers)),
        ),
        Row::at_most("Windows agent under Wine: tool started to report, median", median(&mut seen), 5.0, "s"),
        Row::at_most("the same, slowest (by looking: no event tracing there)", slowest, 5.0, "s"),
        Row::at_most("Windows agent: stripped program", size as f64 / 1e6, 7.0, "MB"),
    ])
}

/// The tool runs, by the collector's facts.
fn runs(collector: &Collector, device: &str) -> anyhow::Result<Option<()>> {
    let device = collector.device(device)?;
    let tools = device["facts"].as_object().into_iter().flatten().filter(|(key, _)| key.contains("vnc"));
    Ok(tools.into_iter().any(|(_, tool)| tool["running_since"].is_string()).then_some(()))
}
