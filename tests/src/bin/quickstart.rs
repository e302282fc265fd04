//! `cargo quickstart`: a collector, this machine's agent, and a small simulated fleet, in a folder of their own.

use std::collections::BTreeSet;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use farmwatch_tests::fleet::{Fleet, Parameters, SMALL};
use farmwatch_tests::world::{Agent, Collector};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Starts a collector, enrols this machine's agent, and replays a small simulated fleet beside it.
#[derive(Parser)]
struct Args {
    /// Stop by itself after this long, such as `60s`; without it, at Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    limit: Option<Duration>,
    /// Print NDJSON for programs
    #[arg(long)]
    json: bool,
    /// Keep the folder at the end
    #[arg(long)]
    keep: bool,
    /// Days that the simulated fleet lives
    #[arg(long, default_value_t = 5)]
    days: u32,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches('s').parse::<u64>();
    number.map(Duration::from_secs).map_err(|_| format!("{text}: not a number of seconds, such as 60s"))
}

fn main() -> ExitCode {
    match quickstart(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn quickstart(args: &Args) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_signal(&stop)?;
    let tell = Teller { json: args.json };

    tell.step("build", "building agent and collector", || build(args.json))?;
    let folder = tempfile::Builder::new().prefix("farmwatch-quickstart-").tempdir()?;
    let state = folder.path().join("collector");
    let mut collector = tell.step("init", "creating a collector", || Collector::init(&state, &[]))?;
    tell.step("collector", "starting it", || collector.start())?;
    let mut agent = Agent::new(&folder.path().join("agent"), "")?;
    let device = tell.step("enrol", "enrolling this machine over mutual TLS", || agent.enrol(&collector))?;
    tell.step("agent", "starting its agent", || agent.start())?;

    let console = format!("http://127.0.0.1:{}", collector.console_port);
    tell.ready(&console, &collector.password, &device);
    let lived = Fleet::new(Parameters::with(SMALL)?, 1, args.days, Timestamp::now())?;
    std::fs::write(folder.path().join("assets.csv"), lived.assets())?;
    std::fs::write(folder.path().join("places.toml"), lived.sanctioned())?;

    let seen = watch(&collector, lived, folder.path(), args, &stop, &tell)?;
    tell.end(seen, args.keep.then_some(folder.path()));
    agent.stop();
    collector.stop();
    if args.keep {
        let _kept: PathBuf = folder.keep();
    }
    Ok(())
}

/// Replays the fleet and tells alerts as they come, until told to stop.
fn watch(
    collector: &Collector,
    fleet: Fleet,
    folder: &Path,
    args: &Args,
    stop: &AtomicBool,
    tell: &Teller,
) -> anyhow::Result<usize> {
    let start = Instant::now();
    let assets = folder.join("assets.csv");
    collector.ask(&["import", "assets", &assets.display().to_string()])?;
    let places = folder.join("places.toml");
    let mut replay = collector
        .command(&["replay", "-", "--into-state", "--places", &places.display().to_string()])?
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("replay.log"))?)
        .spawn()?;
    let pipe = replay.stdin.take().context("no pipe to replay")?;
    let (lines, laptops) = (fleet.expected_lines(), fleet.devices().count());
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let feeder = std::thread::spawn(move || -> std::io::Result<()> {
        let mut pipe = BufWriter::new(pipe);
        fleet.live(|line| {
            serde_json::to_writer(&mut pipe, &line)?;
            counter.fetch_add(1, Ordering::Relaxed);
            pipe.write_all(b"\n")
        })?;
        pipe.flush()
    });

    let bar = tell.bar(lines, &format!("replaying {laptops} simulated laptops over {} days", args.days));
    let mut known = BTreeSet::new();
    let mut fed = false;
    while !stop.load(Ordering::Relaxed) && args.limit.is_none_or(|limit| start.elapsed() < limit) {
        std::thread::sleep(Duration::from_millis(500));
        bar.set_position(sent.load(Ordering::Relaxed));
        if !fed && replay.try_wait()?.is_some() {
            fed = true;
            bar.finish_and_clear();
            tell.say(
                "fleet",
                &json!({ "laptops": laptops, "reports": sent.load(Ordering::Relaxed) }),
                || {
                    format!(
                        "{} reports of {laptops} simulated laptops replayed",
                        sent.load(Ordering::Relaxed)
                    )
                },
            );
        }
        let alerts = collector.ask(&["alerts", "list"])?;
        for alert in alerts.as_array().map(Vec::as_slice).unwrap_or_default() {
            tell_alert(tell, &bar, &mut known, alert);
        }
    }
    bar.finish_and_clear();
    let _ = replay.kill();
    let _ = replay.wait();
    // A replay that was cut short ends the feeder with a broken pipe, which is no error here.
    let _ = feeder.join();
    Ok(known.len())
}

/// Tells an alert when it is new.
fn tell_alert(tell: &Teller, bar: &ProgressBar, known: &mut BTreeSet<String>, alert: &Value) {
    let text = |name: &str| alert[name].as_str().unwrap_or_default().to_owned();
    if !known.insert(text("id")) {
        return;
    }
    bar.suspend(|| {
        tell.say("alert", alert, || {
            let style = anstyle::AnsiColor::Yellow.on_default().bold();
            let posterior = alert["posterior"].as_f64().map(|p| format!("  P = {p:.3}")).unwrap_or_default();
            format!("{style}{:<6} alert{style:#}  {}{posterior}", text("kind"), text("title"))
        });
    });
}

fn build(quiet: bool) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "-p",
        "farmwatch-agent",
        "-p",
        "farmwatch-collector",
        "-p",
        "farmwatch-tests",
        "--bins",
    ]);
    if quiet || !std::io::stderr().is_terminal() {
        command.arg("--quiet");
    }
    // The binaries must lie beside this program.
    if let Some(folder) = std::env::current_exe()?.parent().and_then(Path::parent) {
        command.arg("--target-dir").arg(folder);
    }
    let status = command.status().context("cannot run cargo")?;
    anyhow::ensure!(status.success(), "the build failed");
    Ok(())
}

fn stop_on_signal(stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let stop = Arc::clone(stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            else {
                return;
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            stop.store(true, Ordering::Relaxed);
        });
    });
    Ok(())
}

/// Tells people or programs what happens.
struct Teller {
    json: bool,
}

impl Teller {
    fn say(&self, event: &str, detail: &Value, text: impl FnOnce() -> String) {
        if self.json {
            anstream::println!("{}", json!({ "event": event, "at": Timestamp::now(), "detail": detail }));
        } else {
            anstream::println!("{}", text());
        }
    }

    fn step<T>(
        &self,
        event: &str,
        what: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let start = Instant::now();
        let done = work().with_context(|| format!("{what} failed"))?;
        let seconds = start.elapsed().as_secs_f64();
        let green = anstyle::AnsiColor::Green.on_default();
        self.say(event, &json!({ "seconds": seconds }), || {
            format!("{green}✓{green:#} {what} ({seconds:.1} s)")
        });
        Ok(done)
    }

    fn ready(&self, console: &str, password: &str, device: &str) {
        let detail = json!({ "console": console, "user": "admin", "password": password, "device": device });
        let bold = anstyle::Style::new().bold();
        self.say("ready", &detail, || {
            format!(
                "\n  console   {bold}{console}{bold:#}\n  user      admin\n  password  {bold}{password}{bold:#}\n  this \
                 laptop  {device}\n\n  Start a remote-access tool (x11vnc, AnyDesk, …) and watch it appear. Ctrl-C \
                 stops everything.\n"
            )
        });
    }

    fn end(&self, alerts: usize, kept: Option<&Path>) {
        self.say("end", &json!({ "alerts": alerts, "folder": kept }), || match kept {
            Some(folder) => format!("{alerts} alerts. Kept in {}", folder.display()),
            None => format!("{alerts} alerts. Everything is stopped and removed."),
        });
    }

    fn bar(&self, length: u64, what: &str) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(length).with_message(what.to_owned());
        let style = ProgressStyle::with_template("  {msg}  {bar:30} {pos}/{len} {per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar
    }
}
