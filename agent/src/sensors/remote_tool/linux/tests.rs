//! The sensor as a whole: below test folders, and on the machine that the tests run on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::facts::{RemoteTool, SeenBy, SensorState, SensorStatus};

use super::super::super::test::{config, look, write};
use super::super::super::{Config, Observation, Running, start};
use super::starts::{Heard, Starts};

const STAT: &str = "S 1 1 1 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 360000 1 2 3";

fn process(root: &Path, pid: u32, name: &str, program: &str, command_line: &str) {
    let folder = format!("proc/{pid}");
    let stat = format!("{pid} ({name}) {STAT}");
    let file = |name: &str| format!("{folder}/{name}");
    write(root, &[(&file("stat"), &stat), (&file("comm"), &format!("{name}\n"))]);
    write(root, &[(&file("cmdline"), command_line)]);
    symlink(program, root.join(folder).join("exe")).unwrap();
}

fn laptop() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &[("proc/stat", "cpu 1\nbtime 1795507200\n")]);
    process(root.path(), 1, "systemd", "/usr/lib/systemd/systemd", "/sbin/init\0");
    process(
        root.path(),
        900,
        "firefox",
        "/usr/lib/firefox/firefox",
        "firefox\0https://example.org/private\0",
    );
    root
}

#[test]
fn an_innocent_laptop_says_nothing() {
    let root = laptop();
    let seen = look("remote_tool", root.path());
    assert_eq!(seen.state.all::<RemoteTool>().count(), 0);
    assert_eq!(seen.state.get::<SensorStatus>("remote_tool").unwrap().state, SensorState::Ok);
}

#[test]
fn a_program_that_hides_from_being_looked_into_makes_the_sensor_blind() {
    let status =
        |root: &Path| look("remote_tool", root).state.get::<SensorStatus>("remote_tool").cloned().unwrap();
    let root = laptop();
    process(root.path(), 4711, "helper", "/home/anna/helper", "helper\0");
    write(root.path(), &[("home/anna/helper", "#!/bin/sh\n"), ("proc/4711/fd/0", "")]);
    assert_eq!(status(root.path()).state, SensorState::Ok);
    for n in 0..4096 {
        fs::File::create(root.path().join(format!("proc/4711/fd/1{n:04}"))).unwrap();
    }
    assert_eq!(status(root.path()).state, SensorState::Blind);
    fs::remove_dir_all(root.path().join("proc/4711/fd")).unwrap();
    assert_eq!(status(root.path()).state, SensorState::Ok);
    write(root.path(), &[("home/anna/helper", "\x7fELF, but no header that can be read")]);
    let broken = status(root.path());
    assert_eq!(broken.state, SensorState::Blind);
    assert!(!broken.reason.unwrap().contains("anna"));
}

#[test]
fn a_vnc_server_that_runs_listens_and_has_somebody_connected() {
    let root = laptop();
    process(root.path(), 4711, "x11vnc", "/usr/bin/x11vnc", "x11vnc\0-passwd\0s3cret\0-forever\0");
    write(
        root.path(),
        &[
            ("proc/4711/fd/0", ""),
            (
                "proc/4711/net/tcp",
                "  sl\n 0: 00000000:170C 00000000:0000 0A 0:0 0:0 0 1000 0 5001 1\n 1: 0A00000A:170C 090071CB:D431 01 0:0 0:0 0 1000 0 5003 1\n",
            ),
            ("var/lib/dpkg/status", "Package: x11vnc\nStatus: install ok installed\n"),
        ],
    );
    symlink("socket:[5001]", root.path().join("proc/4711/fd/7")).unwrap();
    let state = look("remote_tool", root.path()).state;
    let tool: &RemoteTool = state.get("x11vnc").unwrap();
    assert!(tool.running() && tool.serving);
    assert_eq!(tool.session_open, Some(true));
    assert_eq!(tool.running_since.unwrap().as_second(), 1_795_507_200 + 3600);
    for by in [SeenBy::Process, SeenBy::Listening, SeenBy::Package] {
        assert!(tool.seen.iter().any(|seen| seen.by == by), "{by:?} of {:?}", tool.seen);
    }
    let told = serde_json::to_string(&state).unwrap();
    assert!(!told.contains("s3cret") && !told.contains("firefox"), "{told}");
}

#[test]
fn of_an_unknown_program_on_a_tools_port_only_the_tool_and_the_port_are_told() {
    let root = laptop();
    process(root.path(), 4711, "quarterly", "/home/anna/quarterly", "quarterly\0--secret\0");
    process(root.path(), 4712, "my-server", "/home/anna/my-server", "my-server\0");
    let listens =
        |port: &str, inode: u32| format!(" 0: 00000000:{port} 00000000:0000 0A 0:0 0:0 0 0 0 {inode} 1\n");
    let table = format!("  sl\n{}{}", listens("1732", 5001), listens("0FA0", 5002));
    write(root.path(), &[("proc/4711/fd/0", ""), ("proc/4712/fd/0", ""), ("proc/net/tcp", &table)]);
    for (pid, inode) in [(4711, 5001), (4712, 5002)] {
        symlink(format!("socket:[{inode}]"), root.path().join(format!("proc/{pid}/fd/7"))).unwrap();
    }
    let state = look("remote_tool", root.path()).state;
    let tools: Vec<_> = state.all::<RemoteTool>().map(|(key, tool)| (key.name().to_owned(), tool)).collect();
    let [(id, tool)] = &tools[..] else { panic!("{tools:?}") };
    assert_eq!((id.as_str(), tool.seen.len(), tool.seen[0].by), ("teamviewer", 1, SeenBy::OnlyPort));
    assert_eq!(tool.seen[0].what, "5938");
    assert!(!tool.serving && tool.session_open.is_none() && tool.running_since.is_none(), "{tool:?}");
    let told = serde_json::to_string(&state).unwrap();
    assert!(["quarterly", "my-server", "anna", "secret"].iter().all(|word| !told.contains(word)), "{told}");
}

/// Its presence says nothing; that somebody is connected from outside does.
#[test]
fn what_the_system_ships_is_built_in_and_says_who_uses_it_from_outside() {
    let far = "0A00000A:PORT 090071CB:D431 01 0:0 0:0 0 0 0 5003 1";
    let own = "0100007F:PORT 0100007F:D431 01 0:0 0:0 0 0 0 5003 1";
    let cases = [
        ("sshd", "/usr/sbin/sshd", "0016", own, "openssh-server", false),
        ("sshd", "/usr/sbin/sshd", "0016", far, "openssh-server", true),
        (
            "gnome-remote-de",
            "/usr/libexec/gnome-remote-desktop-daemon",
            "0D3D",
            own,
            "gnome-remote-desktop",
            false,
        ),
        (
            "gnome-remote-de",
            "/usr/libexec/gnome-remote-desktop-daemon",
            "0D3D",
            far,
            "gnome-remote-desktop",
            true,
        ),
    ];
    for (name, program, port, connection, id, used) in cases {
        let root = laptop();
        process(root.path(), 4711, name, program, "x\0--system\0");
        let listens = format!("  sl\n 0: 00000000:{port} 00000000:0000 0A 0:0 0:0 0 0 0 5001 1\n");
        let table = format!("{listens} 1: {}\n", connection.replace("PORT", port));
        write(root.path(), &[("proc/4711/fd/0", ""), ("proc/4711/net/tcp", &table)]);
        symlink("socket:[5001]", root.path().join("proc/4711/fd/7")).unwrap();
        let tool: RemoteTool = look("remote_tool", root.path()).state.get(id).cloned().unwrap();
        assert!(!tool.running(), "{id} is part of the system");
        assert_eq!(tool.session_open, Some(used), "{id} {connection}");
        assert_eq!(tool.is_used_from_internet(), used, "203.0.113.9");
    }
}

#[test]
fn a_tool_is_found_however_it_was_started() {
    let cases = [
        // its own name, and one that its caller gave it
        ("x11vnc", "/usr/bin/x11vnc", "x11vnc\0", "x11vnc"),
        ("x11vnc", "/usr/bin/x11vnc", "[kworker/0:1]\0", "x11vnc"),
        ("kworker/0:1", "/usr/bin/x11vnc", "[kworker/0:1]\0", "x11vnc"),
        ("x11vnc", "/usr/bin/x11vnc (deleted)", "x11vnc\0", "x11vnc"),
        // through a link, from memory, cut to 15 characters
        ("anydesk", "/srv/data/a-1.2", "anydesk\0--service\0", "anydesk"),
        ("rustdesk", "/memfd:x (deleted)", "rustdesk\0", "rustdesk"),
        ("chrome-remote-d", "/srv/x", "chrome-remote-desktop-host\0", "chrome-remote-desktop"),
        // scripts, Java, a loader
        ("python3", "/usr/bin/python3.13", "python3\0-u\0/opt/x/x11vnc\0", "x11vnc"),
        ("x11vnc", "/usr/bin/python3.13", "/usr/bin/python3\0/opt/x/x11vnc\0", "x11vnc"),
        ("sh", "/usr/bin/dash", "sh\0/home/anna/x11vnc\0-forever\0", "x11vnc"),
        ("java", "/usr/lib/jvm/bin/java", "java\0-jar\0/opt/anydesk\0", "anydesk"),
        ("ld-linux-x86-64", "/usr/lib/ld-linux-x86-64.so.2", "ld.so\0./x11vnc\0", "x11vnc"),
        // an AppImage, a Flatpak
        ("rustdesk", "/tmp/.mount_rustdeAbC/usr/bin/rustdesk", "rustdesk\0", "rustdesk"),
        ("rustdesk", "/app/bin/rustdesk", "/app/bin/rustdesk\0", "rustdesk"),
        // told by its arguments only
        ("code", "/usr/share/code/code", "code\0tunnel\0", "vscode-tunnel"),
    ];
    for (n, (name, program, command_line, id)) in cases.into_iter().enumerate() {
        let root = laptop();
        process(root.path(), 4711, name, program, command_line);
        let state = look("remote_tool", root.path()).state;
        let found: Vec<_> = state.all::<RemoteTool>().map(|(id, _)| id.to_string()).collect();
        assert_eq!(found, [format!("remote_tool/{id}")], "case {n}: {name} {program}");
    }
}

#[test]
fn a_thread_of_the_kernel_and_a_process_that_waits_to_be_buried_are_no_tools() {
    let root = laptop();
    process(root.path(), 50, "x11vnc", "/usr/bin/x11vnc", "x11vnc\0");
    write(root.path(), &[("proc/50/stat", &format!("50 (x11vnc) {}", STAT.replacen('S', "Z", 1)))]);
    process(root.path(), 51, "x11vnc", "/", "");
    write(root.path(), &[("proc/51/stat", &format!("51 (x11vnc) {}", STAT.replace("4194304", "2129984")))]);
    let state = look("remote_tool", root.path()).state;
    assert_eq!(state.all::<RemoteTool>().count(), 0);
}

#[test]
fn a_proc_that_lies_costs_bounded_time_and_no_other_fact() {
    let root = laptop();
    process(root.path(), 4711, "x11vnc", "/usr/bin/x11vnc", "x11vnc\0");
    let folder = |pid: u32| root.path().join(format!("proc/{pid}"));
    // Junk, a pipe, a loop, an endless file, a folder where a file should be.
    write(root.path(), &[("proc/20/stat", "\u{0}\u{1}\u{fffd})))((("), ("proc/23/stat/x", "")]);
    fs::create_dir_all(folder(21)).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, folder(21).join("stat"), rustix::fs::FileType::Fifo, mode, 0)
        .unwrap();
    fs::create_dir_all(folder(22)).unwrap();
    symlink("stat", folder(22).join("stat")).unwrap();
    symlink("/dev/zero", folder(22).join("cmdline")).unwrap();
    fs::create_dir_all(root.path().join("var/lib/dpkg")).unwrap();
    symlink("/dev/zero", root.path().join("var/lib/dpkg/status")).unwrap();
    symlink("systemd", root.path().join("etc")).unwrap();
    let began = Instant::now();
    let state = look("remote_tool", root.path()).state;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert!(state.get::<RemoteTool>("x11vnc").unwrap().running());
    let status: &SensorStatus = state.get("remote_tool").unwrap();
    assert_eq!(status.state, SensorState::Blind);
    assert!(status.reason.as_deref().unwrap().contains("var/lib/dpkg/status"));
}

#[test]
fn without_proc_it_is_blind() {
    let root = tempfile::tempdir().unwrap();
    let status: SensorStatus = look("remote_tool", root.path()).state.get("remote_tool").cloned().unwrap();
    assert_eq!(status.state, SensorState::Blind);
}

#[test]
fn the_kernel_tells_of_a_program_that_starts() {
    let starts = Starts::listen().expect("this test needs root in the machine's own namespaces");
    let mut child = Command::new("sleep").arg("5").spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut heard = false;
    while !heard && Instant::now() < deadline {
        match starts.hear() {
            Heard::Start(pid) => heard = pid == child.id(),
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(heard, "no start of process {} in five seconds", child.id());
}

/// A child that is ended with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &Path, arguments: &[&str]) -> Ends {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ends(command.spawn().unwrap_or_else(|e| panic!("{} is needed by this test: {e}", program.display())))
}

/// Waits for an observation that fits; answers how long it took.
fn wait(running: &mut Running, what: &str, fits: impl Fn(&Observation) -> bool) -> Duration {
    let (began, mut last) = (Instant::now(), None);
    while began.elapsed() < Duration::from_secs(20) {
        match running.observations.try_recv() {
            Ok(seen) if fits(&seen) => return began.elapsed(),
            Ok(seen) => last = tool(&seen),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    panic!("not seen in twenty seconds: {what}; the tool as it was seen last: {last:?}");
}

fn tool(seen: &Observation) -> Option<RemoteTool> {
    seen.state.get("probe").cloned()
}

/// A catalogue of one tool, a program of this name, and nothing else to look at.
fn only(name: &str) -> Config {
    let catalogue =
        format!("farmwatch-catalogue 1\ntool probe remote_desktop Probe\nlinux process {name} ; serving\n");
    let catalogue = Arc::new(Catalogue::parse(&catalogue).unwrap());
    let off =
        ["host", "session", "power", "locale", "display", "usb_device", "hid_device", "activity", "network"];
    Config { root: "/".into(), catalogue, off: off.map(str::to_owned).to_vec(), ..config(Path::new("/")) }
}

/// It is gone before anybody looks, and its child starts no program.
#[test]
fn a_server_that_goes_to_the_background_at_once_is_seen() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let name = format!("daemon{}", std::process::id());
    let program = folder.path().join(&name);
    fs::write(&program, "#!/usr/bin/perl\nexit if fork; exit if fork; sleep 4;\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let mut running = start(only(&name)).unwrap();
    wait(&mut running, "the first observation", |_| true);
    std::thread::sleep(Duration::from_secs(1));
    assert!(Command::new(&program).status().expect("perl is needed by this test").success());
    let seen = wait(&mut running, "the start", |seen| tool(seen).is_some());
    let gone = wait(&mut running, "its end", |seen| tool(seen).is_none());
    println!("seen after {seen:?}, its end after {gone:?}");
    assert!(seen < Duration::from_secs(3), "{seen:?}");
}

/// A real x11vnc on a real X server, under a name of its own so that others on this machine are not taken
/// for it.
#[test]
fn x11vnc_is_seen_within_a_second_its_port_soon_after_and_its_end_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("probe{}", std::process::id());
    let program = folder.path().join(&name);
    fs::copy("/usr/bin/x11vnc", &program).expect("x11vnc is needed by this test");
    let (display, port) =
        (format!(":{}", 100 + std::process::id() % 500), 20_000 + std::process::id() % 10_000);
    let _server = run(Path::new("Xvfb"), &[&display, "-screen", "0", "640x480x24"]);
    std::thread::sleep(Duration::from_secs(1));

    let mut running = start(only(&name)).unwrap();
    wait(&mut running, "the first observation", |_| true);
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let port = port.to_string();
        let vnc =
            run(&program, &["-display", &display, "-rfbport", &port, "-localhost", "-forever", "-quiet"]);
        let seen = wait(&mut running, "the start", |seen| tool(seen).is_some_and(|tool| tool.serving));
        let listens = |tool: RemoteTool| tool.seen.iter().any(|seen| seen.what == port);
        let open = wait(&mut running, "its port", |seen| tool(seen).is_some_and(listens));
        drop(vnc);
        let gone = wait(&mut running, "its end", |seen| tool(seen).is_none());
        println!("x11vnc: seen after {seen:?}, its port {open:?} later, its end after {gone:?}");
        best = best.min(seen.max(gone));
    }
    assert!(best < Duration::from_secs(1), "{best:?}");
}

/// Two more ways in which a copy is known whose name says nothing: by the build of the installed one, and, where none
/// is, by a text of its own.
#[test]
fn a_renamed_copy_of_x11vnc_is_seen_within_a_second_of_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let display = format!(":{}", 600 + std::process::id() % 300);
    let _server = run(Path::new("Xvfb"), &[&display, "-screen", "0", "640x480x24"]);
    std::thread::sleep(Duration::from_secs(1));
    let ways = [
        (
            "by its build",
            "linux process x11vnc ; serving\nlinux file /usr/bin/x11vnc",
            "x11vnc under another name",
        ),
        // The other tool's mark makes a list of a collector that runs beside the tests: it carries the catalogue.
        (
            "by its text",
            "linux mark X11VNC_APPSHARE_DEBUG ; serving\ntool other rmm Other\nlinux mark _GSOCKET_WANT_AUTHCOOKIE",
            "X11VNC_APPSHARE_DEBUG",
        ),
    ];
    for (n, (how, lines, what)) in ways.into_iter().enumerate() {
        let program = folder.path().join(format!("helper{n}"));
        fs::copy("/usr/bin/x11vnc", &program).expect("x11vnc is needed by this test");
        let catalogue = format!("farmwatch-catalogue 2\ntool probe remote_desktop Probe\n{lines}\n");
        let catalogue = Arc::new(Catalogue::parse(&catalogue).unwrap());
        let mut running = start(Config { catalogue, ..only("nothing") }).unwrap();
        wait(&mut running, "the first observation", |_| true);
        let port = (30_000 + std::process::id() % 10_000).to_string();
        let vnc =
            run(&program, &["-display", &display, "-rfbport", &port, "-localhost", "-forever", "-quiet"]);
        let named = |tool: RemoteTool| tool.serving && tool.seen.iter().any(|seen| seen.what == what);
        let seen = wait(&mut running, how, |seen| tool(seen).is_some_and(named));
        drop(vnc);
        wait(&mut running, "its end", |seen| tool(seen).is_none_or(|tool| !tool.running()));
        println!("a renamed x11vnc, {how}: seen after {seen:?}");
        assert!(seen < Duration::from_secs(3), "{how}: {seen:?}");
    }
}

/// A system's own program stands for a tool that somebody put into the system's folder: only its bytes tell.
#[test]
fn a_renamed_tool_in_the_systems_own_folder_is_seen_at_its_start() {
    let program = Path::new("/usr/bin/tac");
    let build = super::renamed::build_of(program).expect("Debian gives its programs a build id");
    let lines = format!("farmwatch-catalogue 2\ntool probe remote_desktop Probe\nlinux build-id {build}\n");
    let catalogue = Arc::new(Catalogue::parse(&lines).unwrap());
    let mut running = start(Config { catalogue, ..only("nothing") }).unwrap();
    wait(&mut running, "the first observation", |_| true);
    let mut command = Command::new(program);
    let reads = Ends(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let seen = wait(&mut running, "the start", |seen| tool(seen).is_some_and(|tool| tool.running()));
    drop(reads);
    println!("in the system's own folder: seen after {seen:?}");
    assert!(seen < Duration::from_secs(3), "{seen:?}");
}

#[test]
fn a_copy_that_goes_by_the_name_of_something_harmless_is_none_the_less_a_tool() {
    let root = laptop();
    let name = "/home/anna/.cache/sshd";
    write(root.path(), &[("home/anna/.cache/x", "")]);
    fs::copy("/usr/bin/x11vnc", root.path().join(&name[1..])).expect("x11vnc is needed by this test");
    process(root.path(), 4711, "sshd", name, "sshd: anna\0");
    let state = look("remote_tool", root.path()).state;
    assert!(state.get::<RemoteTool>("x11vnc").unwrap().running());
}
