//! A machine that lies: binary junk, files without end, pipes, loops of links, EDIDs of every length. Sensors say
//! that they are blind and why; the agent lives, within bounds of time and memory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use farmwatch_tests::machine::Machine;
use farmwatch_tests::world::{Agent, Collector, json, wait_for};
use serde_json::Value;

/// Most time for one look, on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// Most memory that an agent of this build may have resident, in KiB. A lie read whole is a terabyte.
const MOST_KIB: u64 = 80 << 10;

fn junk(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..length).map(|_| random.u8(..)).collect()
}

fn scan(root: &Path) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::new(folder.path(), "").unwrap().below(root);
    let start = Instant::now();
    // `timeout` ends what hangs: the test fails instead of waiting for ever.
    let inner = agent.command(&["scan", "--json"]).unwrap();
    let mut command = Command::new("timeout");
    command.arg(LIMIT.as_secs().to_string()).arg(inner.get_program()).args(inner.get_args());
    let seen = json(&mut command).unwrap();
    assert!(start.elapsed() < LIMIT);
    seen
}

/// State and reason of a sensor.
fn sensor<'a>(seen: &'a Value, name: &str) -> (&'a str, &'a str) {
    let status = &seen["facts"][format!("sensor/{name}")];
    let status = if status.is_null() { &seen[format!("sensor/{name}")] } else { status };
    (status["state"].as_str().unwrap_or("none"), status["reason"].as_str().unwrap_or_default())
}

/// Puts something that is no file where each of these files should be.
fn replace(root: &Path, files: &[&str], put: impl Fn(&Path)) {
    for file in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        put(&path);
    }
}

/// Makes something that is no file at a path.
type Lie = fn(&Path);

const FILES: [&str; 16] = [
    "sys/class/drm/card0-HDMI-A-1/edid",
    "sys/class/drm/card0-HDMI-A-1/enabled",
    "sys/bus/usb/devices/1-1/idVendor",
    "sys/bus/usb/devices/1-1/product",
    "sys/bus/usb/devices/1-1/descriptors",
    "sys/class/dmi/id/product_name",
    "sys/class/dmi/id/chassis_type",
    "sys/class/power_supply/AC/online",
    "proc/acpi/button/lid/LID/state",
    "proc/uptime",
    "proc/net/route",
    "proc/net/arp",
    "etc/timezone",
    "etc/default/keyboard",
    "var/lib/dpkg/status",
    "var/run/utmp",
];

fn lie(root: &Path, put: impl Fn(&Path)) {
    let machine = Machine::new(root, "11111111").unwrap();
    machine.write("sys/class/drm/card0-HDMI-A-1/status", "connected").unwrap();
    machine.write("sys/bus/usb/devices/1-1/idProduct", "0104").unwrap();
    replace(root, &FILES, put);
}

#[test]
fn files_without_end_pipes_and_loops_hang_nothing_and_are_told() {
    let lies: [(&str, Lie); 5] = [
        ("links to /dev/zero", |path| symlink("/dev/zero", path).unwrap()),
        ("pipes", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        ("loops of links", |path| symlink(path, path).unwrap()),
        ("a terabyte of nothing", |path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap()),
        ("folders", |path| fs::create_dir(path).unwrap()),
    ];
    for (name, put) in lies {
        let root = tempfile::tempdir().unwrap();
        lie(root.path(), put);
        let seen = scan(root.path());
        let (state, reason) = sensor(&seen, "display");
        assert_eq!(state, "blind", "{name}: {reason}");
        assert!(reason.contains("HDMI-A-1"), "{name}: {reason}");
        for family in ["host", "usb_device", "hid_device", "network", "power", "locale", "session"] {
            let (state, reason) = sensor(&seen, family);
            assert!(state != "none", "{name}: {family} says nothing");
            assert!(state == "ok" || reason.len() > 5, "{name}: {family} is {state} and does not say why");
            assert!(!reason.contains("fault of the agent"), "{name}: {family} panicked: {reason}");
        }
    }
}

#[test]
fn an_edid_of_any_length_is_read_or_said_to_be_unreadable() {
    for (n, length) in
        [0, 1, 7, 127, 128, 129, 255, 256, 384, 1024, 32_639, 32_640, 32_641].into_iter().enumerate()
    {
        let root = tempfile::tempdir().unwrap();
        let machine = Machine::new(root.path(), "22222222").unwrap();
        machine.write("sys/class/drm/card0-DP-1/status", "connected").unwrap();
        let mut edid = junk(length, n as u64);
        // Half of them begin as an EDID does and say that there are 255 more blocks: such are read as far as they go.
        let begins_well = n % 2 == 1 && (128..=32_640).contains(&length);
        if begins_well {
            edid[..8].copy_from_slice(&[0, 255, 255, 255, 255, 255, 255, 0]);
            edid[126] = 255;
        }
        fs::write(root.path().join("sys/class/drm/card0-DP-1/edid"), edid).unwrap();
        let seen = scan(root.path());
        let (state, reason) = sensor(&seen, "display");
        let expected = if length == 0 || begins_well { "ok" } else { "blind" };
        assert_eq!(state, expected, "{length} bytes: {reason}");
        assert!(expected == "ok" || reason.contains("DP-1"), "{length} bytes: {reason}");
    }
}

#[test]
fn an_agent_on_a_machine_of_junk_runs_reports_and_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    lie(&root, |path| fs::write(path, junk(100_000, 3)).unwrap());
    // Devices without end, each with names of junk.
    for n in 0..2000 {
        let device = root.join(format!("sys/bus/usb/devices/2-{n}"));
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("idVendor"), "dead").unwrap();
        fs::write(device.join("idProduct"), "beef").unwrap();
        fs::write(device.join("product"), junk(300, n)).unwrap();
    }
    symlink("..", root.join("sys/bus/usb/devices/2-1/loop")).unwrap();
    let mut collector = Collector::init(&folder.path().join("collector"), &[]).unwrap();
    collector.start().unwrap();
    let mut agent = Agent::new(&folder.path().join("agent"), "").unwrap().below(&root);
    let device = agent.enrol(&collector).unwrap();
    agent.start().unwrap();
    let shown = wait_for("its report", Duration::from_secs(90), || {
        let shown = collector.device(&device)?;
        Ok(shown["facts"]["sensor/display"].is_object().then_some(shown))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    assert_eq!(sensor(&shown, "display").0, "blind", "{}", shown["facts"]["sensor/display"]);
    let text = shown["facts"].to_string();
    assert!(text.len() < 256 << 10, "{} bytes of facts", text.len());
    std::thread::sleep(Duration::from_secs(5));
    let program = agent.program().unwrap();
    assert!(program.runs(), "it died: {}", program.said());
    assert!(!program.said().contains("fault of the agent"), "{}", program.said());
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).unwrap();
    let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = high.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < MOST_KIB, "{kib} KiB resident at most");
}
