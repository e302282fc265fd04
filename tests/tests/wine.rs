//! The agent that was built for Windows, under Wine: it enrols with a real collector, reports, sees a remote tool
//! start, and runs as a service.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use farmwatch_tests::world::{Collector, Program, json, run, wait_for};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(90);
/// A tool that starts is seen by polling, on a machine that is as busy as a test machine is.
const TOOL_SEEN: Duration = Duration::from_secs(30);

/// A laptop with Windows: a Wine prefix, and the agent in it.
struct Laptop {
    folder: tempfile::TempDir,
    wine: PathBuf,
    agent: PathBuf,
}

impl Laptop {
    fn new() -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let setup = tests.join("cross/setup");
        let tools =
            run(&mut Command::new(&setup)).expect("tests/cross/setup installs Wine; ./tests/run calls it");
        let tools = String::from_utf8(tools.stdout).unwrap();
        let target =
            std::env::var_os("CROSS_TARGET_DIR").map_or_else(|| tests.join("../target/cross"), PathBuf::from);
        let built = target.join("x86_64-pc-windows-gnu/debug/farmwatch-agent.exe");
        assert!(
            built.is_file(),
            "{} is not there; `cargo-win build -p farmwatch-agent` makes it, as ./tests/run does (tests/cross/README.md)",
            built.display()
        );
        let folder = tempfile::tempdir().unwrap();
        let agent = folder.path().join("farmwatch-agent.exe");
        std::fs::copy(&built, &agent).unwrap();
        let wine = Path::new(tools.trim()).join("bin/wine-run");
        let laptop = Self { folder, wine, agent };
        std::fs::write(laptop.path("agent.toml"), "log = \"debug,hyper=info,reqwest=info,rustls=info\"\n")
            .unwrap();
        run(&mut laptop
            .wine(Path::new("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows/wineboot.exe"), &["--init"]))
        .unwrap();
        laptop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// As Windows sees it.
    fn windows_path(&self, name: &str) -> String {
        format!("Z:{}", self.path(name).display()).replace('/', "\\")
    }

    fn wine(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.wine);
        command.arg(program).args(args).env("WINEPREFIX", self.path("prefix")).env("WINEDEBUG", "-all");
        command.env_remove("DISPLAY");
        command
    }

    fn agent(&self, args: &[&str]) -> Command {
        let (config, state) = (self.windows_path("agent.toml"), self.windows_path("state"));
        let all = [&["--config", &config, "--state", &state][..], args].concat();
        self.wine(&self.agent, &all)
    }

    /// A program of Wine's own.
    fn system(&self, name: &str, args: &[&str]) -> Command {
        self.wine(&Path::new("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows").join(name), args)
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        let mut end = Command::new("/usr/lib/wine/wineserver64");
        let _ = end.arg("-k").env("WINEPREFIX", self.path("prefix")).status();
    }
}

fn facts(collector: &Collector, device: &str) -> Value {
    collector.device(device).map(|device| device["facts"].clone()).unwrap_or_default()
}

/// Anonymous and resident memory of the running agent, in KiB: Linux's view of the Wine process.
fn memory(folder: &Path) -> (u64, u64) {
    let inside = folder.display().to_string();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    for process in all {
        let line = std::fs::read_to_string(process.join("cmdline")).unwrap_or_default().replace('\\', "/");
        let runs = line.trim_end_matches('\0').ends_with("run");
        if !runs || !line.contains(&inside) || line.contains("wine-run") {
            continue;
        }
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        return (kib("RssAnon:"), kib("VmRSS:"));
    }
    (0, 0)
}

#[test]
fn the_windows_agent_enrols_reports_sees_a_tool_start_and_runs_as_a_service() {
    let laptop = Laptop::new();
    let collector_folder = laptop.path("collector");
    std::fs::create_dir(&collector_folder).unwrap();
    let mut collector = Collector::init(&collector_folder, &[]).unwrap();
    collector.start().unwrap();

    let token = collector.token().unwrap();
    let said =
        json(&mut laptop.agent(&["enrol", "--json", "--url", &collector.url(), "--token", &token])).unwrap();
    let device = said["device"].as_str().unwrap().to_owned();

    // What is installed: a service, and a program in the list.
    let services = r"HKLM\SYSTEM\CurrentControlSet\Services\TeamViewer";
    run(&mut laptop.system("reg.exe", &["add", services, "/v", "Type", "/t", "REG_DWORD", "/d", "16", "/f"]))
        .unwrap();
    let program = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{1}";
    run(&mut laptop.system("reg.exe", &["add", program, "/v", "DisplayName", "/d", "AnyDesk 9.0", "/f"]))
        .unwrap();

    let log = laptop.path("agent.log");
    let started = Instant::now();
    let agent = Program::start(&mut laptop.agent(&["run"]), &log).unwrap();
    let seen = wait_for("the laptop's first report", LIMIT, || {
        let facts = facts(&collector, &device);
        Ok((facts["host/self"]["os"] == "windows").then_some(facts))
    });
    let seen = seen.unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    println!("start to first report: {:?}", started.elapsed());
    println!("facts: {seen:#}");
    assert!(seen["host/self"]["os_version"].as_str().unwrap().starts_with("Windows"));
    assert_eq!(seen["remote_tool/teamviewer"]["seen"][0]["by"], "service");
    assert_eq!(seen["remote_tool/anydesk"]["seen"][0]["by"], "package");
    let network = seen.as_object().unwrap().iter().any(|(key, _)| key.starts_with("network/"));
    assert!(network, "no interface is seen");
    for sensor in ["host", "remote_tool", "network", "power", "locale"] {
        assert_eq!(
            seen[format!("sensor/{sensor}")]["state"],
            "ok",
            "{sensor}: {}",
            seen[format!("sensor/{sensor}")]
        );
    }

    // A remote tool starts.
    let tool = laptop.path("winvnc.exe");
    std::fs::copy("/usr/lib/x86_64-linux-gnu/wine/x86_64-windows/ping.exe", &tool).unwrap();
    let started = Instant::now();
    let mut running =
        Program::start(&mut laptop.wine(&tool, &["-n", "300", "127.0.0.1"]), &laptop.path("tool.log"))
            .unwrap();
    let alerted = wait_for("the alert", TOOL_SEEN, || {
        let alerts = collector.ask(&["alerts", "list"])?.to_string();
        Ok((alerts.contains(&device) && alerts.contains("VNC")).then_some(()))
    });
    alerted.unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    println!("tool started to alert: {:?}", started.elapsed());
    running.kill();

    let (anonymous, resident) = memory(laptop.folder.path());
    println!("memory under Wine, debug build: {anonymous} KiB anonymous, {resident} KiB resident");
    drop(agent);

    // As a service: the manager starts it, it reports, it stops when it is asked to.
    let sent = collector.metric("farmwatch_reports_total").unwrap_or(0.0);
    run(&mut laptop.agent(&["service", "install"])).unwrap();
    run(&mut laptop.system("net.exe", &["start", "FarmwatchAgent"])).unwrap();
    let status = wait_for("the service to run", LIMIT, || {
        let output = laptop.agent(&["status", "--json"]).output()?;
        let status: Value = serde_json::from_slice(&output.stdout)?;
        Ok((status["running"] == true && status["status"]["reached_at"].is_string()).then_some(status))
    });
    println!("service: {:#}, reports before {sent}", status.unwrap()["status"]["sensors"]);
    run(&mut laptop.agent(&["service", "remove"])).unwrap();
    let output = laptop.agent(&["status", "--json"]).output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["running"], false, "it stopped in good order: {status}");
}
