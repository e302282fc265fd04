//! The agent on this very machine, as it is: copies of remote tools whose names say nothing are named in the alert, and
//! what they type and move is counted as injected and as no device's.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use farmwatch_shared::facts::Window;
use farmwatch_tests::web::Session;
use farmwatch_tests::world::{Agent, Collector, Program, free_port, json, run, wait_for};
use farmwatch_tests::{books, clock};
use jiff::Timestamp;
use serde_json::Value;

const LONG: Duration = Duration::from_mins(1);

/// A screen that no monitor shows.
struct Screen {
    _server: Program,
    display: String,
}

impl Screen {
    fn start(folder: &Path) -> Self {
        let display = format!(":{}", 200 + std::process::id() % 400);
        let mut command = Command::new("Xvfb");
        command.args([&display, "-screen", "0", "800x600x24", "-nolisten", "tcp", "-extension", "MIT-SHM"]);
        let server = Program::start(&mut command, &folder.join("screen.log"))
            .expect("Xvfb is missing: apt-get install xvfb");
        let screen = Self { _server: server, display };
        wait_for("the screen", LONG, || Ok(screen.xdotool(&["getmouselocation"]).ok())).unwrap();
        screen
    }

    fn xdotool(&self, what: &[&str]) -> anyhow::Result<()> {
        run(Command::new("xdotool").env("DISPLAY", &self.display).args(what)).map(drop)
    }
}

/// A copy of an installed program under a name that says nothing.
fn renamed(program: &str, folder: &Path, name: &str) -> PathBuf {
    let copy = folder.join(name);
    std::fs::copy(program, &copy)
        .unwrap_or_else(|error| panic!("{program} is missing ({error}): see the packages in tests/run"));
    copy
}

/// Makes it another build than the installed one: changes the id that the linker gave it.
fn rebuild(program: &Path) {
    const NOTE: &[u8] = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let mut bytes = std::fs::read(program).unwrap();
    let at = bytes.windows(NOTE.len()).position(|window| window == NOTE).expect("a build id");
    bytes[at + NOTE.len()] ^= 0xff;
    std::fs::write(program, bytes).unwrap();
}

fn alert(console: &Session, tool: &str) -> Option<Value> {
    let is = |alert: &Value| {
        alert["kind"] == "policy" && alert["key"].as_str().is_some_and(|key| key.ends_with(tool))
    };
    console.alerts().ok()?.into_iter().find(is)
}

#[test]
fn copies_under_other_names_are_named_in_the_alert() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let screen = Screen::start(folder);
    let mut collector = Collector::init(&folder.join("collector"), &[]).unwrap();
    collector.start().unwrap();
    let console = Session::log_in(collector.console_port, &collector.password).unwrap();
    let mut agent = Agent::new(&folder.join("agent"), "").unwrap();
    let device = agent.enrol(&collector).unwrap();
    agent.start().unwrap();
    wait_for("the first report", LONG, || Ok((books::rows(&collector, &device)?.seq > 0).then_some(())))
        .unwrap();

    // A server that is installed under its own name as well, and a Go program that came from elsewhere.
    let (port, other) = (free_port().unwrap().to_string(), free_port().unwrap());
    let mut helper = Command::new(renamed("/usr/bin/x11vnc", folder, "helper"));
    helper.args(["-display", &screen.display, "-rfbport", &port, "-forever", "-nopw", "-quiet", "-noshm"]);
    let mut helper = Program::start(&mut helper, &folder.join("helper.log")).unwrap();
    let printing = renamed("/usr/bin/tty-share", folder, "printing");
    rebuild(&printing);
    let mut printing = Command::new(printing);
    printing.args([
        "--headless",
        "--no-wait",
        "--command",
        "/bin/cat",
        "--listen",
        &format!("127.0.0.1:{other}"),
    ]);
    let mut printing = Program::start(&mut printing, &folder.join("printing.log")).unwrap();

    for (tool, port) in [("x11vnc", port), ("tty-share", other.to_string())] {
        let found = wait_for(&format!("an alert about {tool}"), LONG, || Ok(alert(&console, tool)));
        let found = found.unwrap_or_else(|error| {
            panic!("{error:#}\n{}\n{}\n{}", agent.said(), helper.said(), printing.said())
        });
        let says = format!("{} {} {}", found["title"], found["summary"], found["waterfall"]);
        assert!(!says.contains(folder.to_str().unwrap()), "a path of the laptop's is told: {says}");
        wait_for(&format!("the port of {tool}"), LONG, || {
            let fact = collector.device(&device)?["facts"][format!("remote_tool/{tool}")].take();
            let ports =
                fact["seen"].as_array().is_some_and(|seen| seen.iter().any(|one| one["what"] == *port));
            Ok((ports && fact["serving"] == true).then_some(()))
        })
        .unwrap();
    }
    assert!(helper.runs() && printing.runs());
}

/// A program that waits on a port and says nothing of itself: static, stripped, without a build id.
fn listener(folder: &Path, name: &str, port: u16) -> PathBuf {
    const SOURCE: &str = "#include <arpa/inet.h>\n#include <unistd.h>\nint main() {\n\
        struct sockaddr_in at = {AF_INET, htons(PORT)};\n\
        int fd = socket(AF_INET, SOCK_STREAM, 0);\n\
        if (bind(fd, (void *)&at, sizeof at) || listen(fd, 1)) return 1;\n\
        for (;;) pause();\n}\n";
    let (source, program) = (folder.join("listener.c"), folder.join(name));
    std::fs::write(&source, SOURCE).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-static", "-s", "-Wl,--build-id=none", &format!("-DPORT={port}"), "-o"])
        .arg(&program)
        .arg(&source);
    run(&mut cc).expect("a C compiler is missing: apt-get install gcc libc6-dev");
    program
}

#[test]
fn a_copy_that_only_its_port_shows_is_told_as_that_and_nothing_else_of_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let agent = Agent::new(&folder.join("agent"), "").unwrap();
    let scan = || json(&mut agent.command(&["scan", "--json"]).unwrap()).unwrap();
    let findings = |scan: &Value| -> Vec<Value> {
        let is = |finding: &&Value| finding["rule"] == "remote_control.port";
        scan["findings"].as_array().unwrap().iter().filter(is).cloned().collect()
    };
    assert_eq!(findings(&scan()), [""; 0], "before");

    // RustDesk's port for direct access, and a developer's server beside it.
    let mut listeners = [("quarterly-report", 21_118), ("my-service", 4000)].map(|(name, port)| {
        Program::start(&mut Command::new(listener(folder, name, port)), &folder.join("said.log")).unwrap()
    });
    let found =
        wait_for("the port", LONG, || Ok(Some(scan()).filter(|scan| !findings(scan).is_empty()))).unwrap();
    assert!(listeners.iter_mut().all(Program::runs), "a port is taken");
    let [finding] = &findings(&found)[..] else { panic!("{found:#}") };
    assert!(finding["why"].as_str().unwrap().contains("21118, as RustDesk"), "{finding:#}");
    assert_ne!(finding["policy"], true);
    let fact = &found["facts"]["remote_tool/rustdesk"];
    assert_eq!(fact["seen"], serde_json::json!([{ "by": "only_port", "what": "21118" }]), "{fact:#}");
    let all = found.to_string();
    assert!(!all.contains("quarterly-report") && !all.contains("my-service"), "its name is told: {all}");
    let [copy, _] = &mut listeners;
    copy.kill();
    assert_eq!(findings(&scan()), [""; 0], "after");
}

/// Xvfb has no device: what xdotool does there (XTEST) resets its idle time and nothing else. A window lasts five
/// minutes; the agent's clock, which only this test's library moves, jumps over what is left of it.
#[test]
fn what_xtest_moves_and_types_is_injected_and_no_devices() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let screen = Screen::start(folder);
    let mut collector = Collector::init(&folder.join("collector"), &[]).unwrap();
    collector.start().unwrap();
    let mut agent = Agent::new(&folder.join("agent"), "").unwrap();
    let device = agent.enrol(&collector).unwrap();
    let clock_file = folder.join("clock");
    // A window begins with the test.
    let into_window = Timestamp::now().as_second().rem_euclid(Window::SECONDS);
    clock::set(&clock_file, -into_window).unwrap();
    for (name, value) in clock::library(&clock_file).unwrap() {
        agent.set_environment(name, &value);
    }
    agent.start().unwrap();
    wait_for("the first report", LONG, || Ok((books::rows(&collector, &device)?.seq > 0).then_some(())))
        .unwrap();
    // Input counts as injected once devices have been silent for a moment.
    std::thread::sleep(Duration::from_secs(4));
    let began = Instant::now();
    for n in 0..30 {
        screen.xdotool(&["mousemove", &(100 + 7 * n).to_string(), "200", "key", "a"]).unwrap();
        std::thread::sleep(Duration::from_millis(400));
    }
    let lasted = began.elapsed().as_secs();
    clock::set(&clock_file, 290 - into_window).unwrap();

    let windows = wait_for("a window with injected input at the collector", LONG, || {
        let windows = books::windows(&collector, &device)?;
        Ok(windows.iter().any(|window| window.injected_seconds > 0).then_some(windows))
    })
    .unwrap_or_else(|error| {
        let sent: Vec<_> =
            agent.sent().unwrap_or_default().into_iter().map(|report| report.windows).collect();
        panic!("{error:#}\nsent: {sent:?}\n{}", agent.said())
    });
    let window = windows.iter().find(|window| window.injected_seconds > 0).unwrap();
    println!("in {lasted} seconds of XTEST: {window:?}");
    let injected = u64::from(window.injected_seconds);
    assert!((lasted / 2..=lasted + 5).contains(&injected), "{window:?} of {lasted} s");
    let by_devices = window.sources.values().any(|source| source.active_seconds > 0);
    assert!(!by_devices, "no device sent anything: {window:?}");
}
