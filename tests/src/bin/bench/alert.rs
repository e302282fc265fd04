//! From the start of a real VNC server to its alert on the console's JSON interface.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use farmwatch_tests::web::Session;
use farmwatch_tests::world::{Agent, Collector, Program, free_port, wait_for};

use crate::row::{Row, median};

/// Displays from here on are not anybody's.
const FIRST_DISPLAY: u32 = 190;
/// Longest wait for what should be there in seconds.
const LIMIT: Duration = Duration::from_secs(30);

/// As many runs, each with a fresh collector and agent.
pub fn measure(runs: u32) -> anyhow::Result<Vec<Row>> {
    let mut seconds = Vec::new();
    for run in 0..runs {
        seconds.push(once(FIRST_DISPLAY + run).with_context(|| format!("run {run}"))?);
    }
    let worst = seconds.iter().copied().fold(0.0, f64::max);
    let middle = median(&mut seconds);
    Ok(vec![
        Row::at_most(&format!("x11vnc started → alert on the console, median of {runs}"), middle, 2.0, "s"),
        Row::at_most("the same, worst", worst, 5.0, "s"),
    ])
}

fn once(display: u32) -> anyhow::Result<f64> {
    let desk = Desk::new(display)?;
    // What the screen's start has set going is over: the usual case is a laptop in use.
    std::thread::sleep(Duration::from_secs(5));
    desk.seconds_until_alert()
}

/// A collector, and an agent on a machine with an X server.
pub struct Desk {
    /// The collector.
    pub collector: Collector,
    /// The agent.
    pub agent: Agent,
    /// The agent's device id.
    pub device: String,
    screen: String,
    _server: Program,
    folder: tempfile::TempDir,
}

impl Desk {
    /// Starts them and waits for the first report.
    pub fn new(display: u32) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut collector = Collector::init(&folder.path().join("collector"), &[])?;
        collector.start()?;
        let mut agent = Agent::new(&folder.path().join("agent"), "")?;
        let device = agent.enrol(&collector)?;
        agent.start()?;
        let screen = format!(":{display}");
        let mut server = Command::new("Xvfb");
        server.args([
            screen.as_str(),
            "-screen",
            "0",
            "800x600x24",
            "-nolisten",
            "tcp",
            "-extension",
            "MIT-SHM",
        ]);
        let server = Program::start(&mut server, &folder.path().join("xvfb.log"))?;
        let socket = format!("/tmp/.X11-unix/X{display}");
        wait_for("the X server", Duration::from_secs(20), || Ok(Path::new(&socket).exists().then_some(())))?;
        wait_for("the agent's first report", LIMIT, || {
            let taken = collector.metric("farmwatch_ingest_reports_total")?;
            Ok((taken >= 1.0).then_some(()))
        })?;
        Ok(Self { collector, agent, device, screen, _server: server, folder })
    }

    /// Starts an x11vnc; how long until its alert is on the console.
    pub fn seconds_until_alert(&self) -> anyhow::Result<f64> {
        let console = Session::log_in(self.collector.console_port, &self.collector.password)?;
        let port = free_port()?.to_string();
        let mut tool = Command::new("x11vnc");
        tool.args([
            "-display",
            &self.screen,
            "-rfbport",
            &port,
            "-localhost",
            "-forever",
            "-quiet",
            "-nopw",
            "-noshm",
        ]);
        let start = Instant::now();
        let _tool = Program::start(&mut tool, &self.folder.path().join("x11vnc.log"))?;
        loop {
            let of_tool = |alert: &serde_json::Value| {
                alert["key"].as_str().is_some_and(|key| key.ends_with("remote_tool/x11vnc"))
            };
            if console.alerts()?.iter().any(of_tool) {
                return Ok(start.elapsed().as_secs_f64());
            }
            let said = || self.agent.said();
            anyhow::ensure!(start.elapsed() < LIMIT, "no alert within {LIMIT:?}; the agent: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
