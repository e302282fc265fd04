//! The agent that was built for Windows, under Wine: it enrols with a real collector, reports, sees remote tools
//! start, renamed ones too, and is installed, upgraded and removed as a service.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use farmwatch_tests::wine::Laptop;
use farmwatch_tests::world::{Collector, Program, json, run, wait_for};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(90);
/// A tool that starts is seen by polling, on a machine that is as busy as a test machine is.
const TOOL_SEEN: Duration = Duration::from_secs(30);

/// A laptop that is enrolled with a collector.
fn enrolled() -> (Laptop, Collector, String) {
    let laptop = Laptop::new("debug").unwrap();
    let folder = laptop.path("collector");
    std::fs::create_dir(&folder).unwrap();
    let mut collector = Collector::init(&folder, &[]).unwrap();
    collector.start().unwrap();
    let token = collector.token().unwrap();
    let said =
        json(&mut laptop.agent(&["enrol", "--json", "--url", &collector.url(), "--token", &token])).unwrap();
    let device = said["device"].as_str().unwrap().to_owned();
    (laptop, collector, device)
}

fn facts(collector: &Collector, device: &str) -> Value {
    collector.device(device).map(|device| device["facts"].clone()).unwrap_or_default()
}

fn status(laptop: &Laptop) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&laptop.agent(&["status", "--json"]).output()?.stdout)?)
}

/// Adds a value to the registry.
fn write_registry(laptop: &Laptop, key: &str, value: &[&str]) {
    run(&mut laptop.system("reg.exe", &[&["add", key][..], value, &["/f"]].concat())).unwrap();
}

fn is_in_registry(laptop: &Laptop, key: &str) -> bool {
    laptop.system("reg.exe", &["query", key]).output().unwrap().status.success()
}

#[test]
fn the_windows_agent_enrols_reports_and_sees_tools_start_even_renamed_ones() {
    let (laptop, collector, device) = enrolled();
    // What is installed: a service, a program in the list, a key that a tool writes, a renamed tool as a service.
    let services = r"HKLM\SYSTEM\CurrentControlSet\Services";
    write_registry(
        &laptop,
        &format!(r"{services}\TeamViewer"),
        &["/v", "Type", "/t", "REG_DWORD", "/d", "16"],
    );
    let program = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{1}";
    write_registry(&laptop, program, &["/v", "DisplayName", "/d", "AnyDesk 9.0"]);
    write_registry(&laptop, r"HKLM\SOFTWARE\RealVNC", &["/v", "x", "/d", "1"]);
    laptop.program_saying("updater.exe", &[("OriginalFilename", "rustdesk.exe")]).unwrap();
    let updater = format!(r"{services}\Updater");
    write_registry(&laptop, &updater, &["/v", "Type", "/t", "REG_DWORD", "/d", "16"]);
    write_registry(&laptop, &updater, &["/v", "ImagePath", "/d", &laptop.windows_path("updater.exe")]);

    let started = Instant::now();
    let agent = Program::start(&mut laptop.agent(&["run"]), &laptop.path("agent.log")).unwrap();
    let seen = wait_for("the laptop's first reports", LIMIT, || {
        let facts = facts(&collector, &device);
        let all = facts["host/self"]["os"] == "windows" && facts["remote_tool/rustdesk"].is_object();
        Ok(all.then_some(facts))
    });
    let seen = seen.unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    println!("start to first reports: {:?}", started.elapsed());
    println!("facts: {seen:#}");
    assert!(seen["host/self"]["os_version"].as_str().unwrap().starts_with("Windows"));
    for (tool, by) in [("teamviewer", "service"), ("anydesk", "package"), ("rustdesk", "service")] {
        assert_eq!(seen[format!("remote_tool/{tool}")]["seen"][0]["by"], by, "{tool}");
    }
    let keys: Vec<&String> = seen.as_object().unwrap().keys().collect();
    assert!(keys.iter().any(|key| key.contains("remote_tool/") && key.contains("vnc")), "{keys:?}");
    assert!(keys.iter().any(|key| key.starts_with("network/")), "no interface is seen");
    for sensor in ["host", "remote_tool", "network", "power", "locale"] {
        let said = &seen[format!("sensor/{sensor}")];
        assert_eq!(said["state"], "ok", "{sensor}: {said}");
    }
    // Wine has no event tracing: the sensor says so, and looks every two seconds.
    let said = seen["sensor/remote_tool"].to_string();
    assert!(said.contains("every two seconds"), "{said}");

    // A remote tool starts; then one that was renamed, known by what its maker called it.
    let ping = Laptop::system_program("ping.exe");
    std::fs::copy(ping, laptop.path("winvnc.exe")).unwrap();
    let invoice = laptop.program_saying("invoice.exe", &[("OriginalFilename", "AnyDesk.exe")]).unwrap();
    let tools: [(&Path, &[&str], &str, bool); 2] = [
        (&laptop.path("winvnc.exe"), &["-n", "300", "127.0.0.1"], "VNC", true),
        (&invoice, &[], "anydesk", false),
    ];
    for (program, arguments, name, alert) in tools {
        let started = Instant::now();
        let mut running =
            Program::start(&mut laptop.wine(program, arguments), &laptop.path("tool.log")).unwrap();
        let found = wait_for("the tool", TOOL_SEEN, || {
            let alerts = collector.ask(&["alerts", "list"])?.to_string();
            let alerted = alerts.contains(&device) && alerts.contains(name);
            let runs = facts(&collector, &device)[format!("remote_tool/{name}")]["running_since"].is_string();
            Ok((if alert { alerted } else { runs }).then_some(()))
        });
        found.unwrap_or_else(|error| panic!("{name}: {error:#}\n{}", agent.said()));
        println!("{name} started to {}: {:?}", if alert { "alert" } else { "report" }, started.elapsed());
        running.kill();
    }
}

#[test]
fn the_windows_service_is_installed_upgraded_while_it_runs_and_removed_without_a_trace() {
    let (laptop, _collector, _) = enrolled();
    let service = r"HKLM\SYSTEM\CurrentControlSet\Services\FarmwatchAgent";
    // Twice is as good as once.
    let ends = |mut command: Command| ends(&laptop, &mut command);
    assert!(ends(laptop.agent(&["service", "install"])));
    assert!(ends(laptop.agent(&["service", "install"])));
    // Wine's manager may have started it by itself already, as it does when Windows starts.
    ends(laptop.system("net.exe", &["start", "FarmwatchAgent"]));
    let reports = |what: &str, program: &str| {
        let reached = wait_for(what, LIMIT, || {
            let status = status(&laptop)?;
            let runs = status["running"] == true && status["status"]["reached_at"].is_string();
            Ok((runs && laptop.process(program, "").is_ok()).then_some(status))
        });
        let log = std::fs::read_to_string(laptop.path("state/agent.log")).unwrap_or_default();
        reached.unwrap_or_else(|error| panic!("{error:#}\n{log}"))
    };
    let before = reports("the service to reach the collector", "farmwatch-agent.exe");

    // A newer program takes over from the one that runs.
    let newer = laptop.path("farmwatch-agent-2.exe");
    std::fs::copy(laptop.program(), &newer).unwrap();
    assert!(ends(laptop.agent_at(&newer, &["service", "install"])));
    let after = reports("the newer program to reach the collector", "farmwatch-agent-2.exe");
    assert_eq!(before["device"], after["device"], "it is the same device");
    assert!(laptop.process("farmwatch-agent.exe", "").is_err(), "the older one has ended");
    let entry = laptop.system("reg.exe", &["query", service, "/v", "ImagePath"]).output().unwrap();
    assert!(String::from_utf8_lossy(&entry.stdout).contains("farmwatch-agent-2.exe"));

    assert!(ends(laptop.agent_at(&newer, &["service", "remove"])));
    assert_eq!(status(&laptop).unwrap()["running"], false, "it stopped in good order");
    wait_for("its process to end", LIMIT, || {
        Ok(laptop.process("farmwatch-agent", "").is_err().then_some(()))
    })
    .unwrap();
    assert!(!is_in_registry(&laptop, service), "the service is gone");
    assert!(!is_in_registry(&laptop, r"HKLM\SOFTWARE\Farmwatch"), "nothing is left in the registry");
    assert!(laptop.path("state").is_dir(), "what it kept stays");
    assert!(!ends(laptop.agent(&["service", "remove"])), "removing what is not there fails and says so");
}

/// Runs a command to its end and answers whether it went well. What it says goes to a file: the service manager that
/// it starts would keep a pipe open.
fn ends(laptop: &Laptop, command: &mut Command) -> bool {
    let log = std::fs::File::options().create(true).append(true).open(laptop.path("service.log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).status().unwrap().success()
}
