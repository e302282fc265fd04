//! The enrolled agent on a laptop on which nothing happens but programs that start and end, beside Zabbix' agent and
//! Prometheus' node exporter, which nobody asks for anything.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use farmwatch_tests::world::{Agent, Collector, Program, binary, wait_for};

use crate::machine::{Churn, Crowd, cpu_seconds, forks, memory};
use crate::row::{Bound, Row};

/// Processes on the machine.
const PROCESSES: usize = 500;
/// Time in which both agents come to rest before anything is counted.
const SETTLE: Duration = Duration::from_secs(30);

/// Memory and CPU over a span, and the size of the program.
pub fn measure(span: Duration) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let mut collector = Collector::init(&folder.path().join("collector"), &[])?;
    collector.start()?;
    let mut agent = Agent::new(&folder.path().join("agent"), "")?;
    agent.enrol(&collector)?;
    agent.start()?;
    let zabbix = zabbix(folder.path())?;
    let exporter = node_exporter(folder.path())?;
    let _crowd = Crowd::of(PROCESSES)?;
    let _churn = Churn::start();
    let pid = agent.program().context("the agent was not started")?.id();
    let limit = Duration::from_mins(1);
    wait_for("a report and a connection that waits for orders", limit, || {
        let reports = collector.metric("farmwatch_ingest_reports_total")?;
        Ok((reports >= 1.0 && collector.metric("farmwatch_connections")? >= 1.0).then_some(()))
    })?;
    std::thread::sleep(SETTLE);

    let start = Instant::now();
    let (ours, peers, forked) = (cpu_seconds(pid)?, cpu_seconds(zabbix.id())?, forks()?);
    let exporters = cpu_seconds(exporter.id())?;
    std::thread::sleep(span);
    let seconds = start.elapsed().as_secs_f64();
    let share = |before: f64, after: f64| (after - before) / seconds * 100.0;
    let (ours, peers) = (share(ours, cpu_seconds(pid)?), share(peers, cpu_seconds(zabbix.id())?));
    let exporters = share(exporters, cpu_seconds(exporter.id())?);
    let (own, peer, export) = (memory(pid)?, memory(zabbix.id())?, memory(exporter.id())?);
    let rate = (forks()? - forked) / seconds;
    let size = std::fs::metadata(binary("farmwatch-agent")?)?.len();
    let minutes = span.as_secs() / 60;
    let cpu = format!("agent: CPU over {minutes} min, {PROCESSES} processes, 5 start and end a second");
    Ok(vec![
        Row::at_most("agent, enrolled, TLS up: anonymous memory", own.anonymous, 5.0, "MB"),
        Row::at_most("agent: resident memory", own.resident, 10.0, "MB"),
        Row::beside(
            "agent: resident memory beside its peer's",
            (own.resident, "MB"),
            ("zabbix_agent2", peer.resident),
            Bound::AtMost(0.6),
        ),
        Row::beside(
            "agent: resident memory beside another's",
            (own.resident, "MB"),
            ("prometheus-node-exporter", export.resident),
            Bound::None,
        ),
        Row::at_most(&cpu, ours, 0.05, "% of a core"),
        // Others on the machine start processes, too, and each costs the agent something.
        Row::beside("the same: processes started on the machine", (rate, "/s"), ("aim", 5.0), Bound::None),
        Row::beside("agent: CPU beside its peer's", (ours, "%"), ("zabbix_agent2", peers), Bound::None),
        Row::beside(
            "agent: CPU beside another's",
            (ours, "%"),
            ("prometheus-node-exporter", exporters),
            Bound::None,
        ),
        Row::at_most("agent: stripped program", size as f64 / 1e6, 7.0, "MB"),
    ])
}

/// Debian's `zabbix_agent2` with what it needs to run and nothing to do.
fn zabbix(folder: &Path) -> anyhow::Result<Program> {
    let config = folder.join("zabbix.conf");
    let socket = folder.join("zabbix.sock");
    let text = format!(
        "Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort={}\nHostname=bench\nLogType=console\nControlSocket={}\n",
        low_port()?,
        socket.display()
    );
    std::fs::write(&config, text)?;
    running("zabbix_agent2", &["-c".into(), config.into()], folder)
}

/// Debian's `prometheus-node-exporter`.
fn node_exporter(folder: &Path) -> anyhow::Result<Program> {
    let listen = format!("--web.listen-address=127.0.0.1:{}", low_port()?);
    running("prometheus-node-exporter", &[listen.into()], folder)
}

/// A program that is a peer, two seconds after its start.
fn running(name: &str, arguments: &[OsString], folder: &Path) -> anyhow::Result<Program> {
    let system = Path::new("/usr/sbin").join(name);
    let mut command = if system.exists() { Command::new(system) } else { Command::new(name) };
    let mut program = Program::start(command.args(arguments), &folder.join(format!("{name}.log")))
        .with_context(|| format!("{name} does not start; is it installed?"))?;
    std::thread::sleep(Duration::from_secs(2));
    anyhow::ensure!(program.runs(), "{name} ended: {}", program.said());
    Ok(program)
}

/// A free port as low as Zabbix wants it.
fn low_port() -> anyhow::Result<u16> {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (20_000..32_000).find(free).context("no port below 32,000 is free")
}
