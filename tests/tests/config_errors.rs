//! What is wrong with a configuration is said with file, line and what to do, and the exit code says so too.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::path::Path;
use std::process::Command;

use farmwatch_tests::world::{Agent, Collector, binary};

/// Exit code, and all that was said.
fn ran(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn says(ran: &(Option<i32>, String), code: i32, parts: &[&str]) {
    assert_eq!(ran.0, Some(code), "{}", ran.1);
    for part in parts {
        assert!(ran.1.contains(part), "no {part:?} in {}", ran.1);
    }
    assert!(!ran.1.contains("panicked"), "{}", ran.1);
}

#[test]
fn an_agents_errors_name_file_line_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[&str]); 6] = [
        ("log = \"info=loud\"\n", &["info=loud", "error, warn, info or debug"]),
        ("log = \"info\"\nurll = \"https://x\"\n", &["agent.toml: line 2", "urll", "check-config"]),
        ("url = \"https://x\"\n\nlog = [\n", &["agent.toml: line 3", "check-config"]),
        ("log = 3\n", &["agent.toml: line 1", "string", "check-config"]),
        ("url = \"http://collector.example.com\"\n", &["http://collector.example.com", "https://"]),
        ("proxy = \"ftp://proxy\"\n", &["ftp://proxy", "http://"]),
    ];
    for (text, parts) in cases {
        let agent = Agent::new(folder.path(), text).unwrap();
        for command in ["check-config", "run"] {
            says(&ran(&mut agent.command(&[command]).unwrap()), 1, parts);
        }
    }
    let agent = Agent::new(folder.path(), "log = \"info\"\n").unwrap();
    says(&ran(&mut agent.command(&["check-config"]).unwrap()), 0, &["fine"]);
    says(&ran(&mut agent.command(&["run"]).unwrap()), 1, &["not enrolled", "farmwatch-agent enrol --url"]);
    says(&ran(&mut agent.command(&["enrol"]).unwrap()), 1, &["--url"]);
    says(
        &ran(&mut agent.command(&["enrol", "--url", "https://localhost:1", "--token", "fwt_x"]).unwrap()),
        1,
        &["not a token"],
    );
    says(&ran(&mut agent.command(&["fly"]).unwrap()), 2, &["fly", "--help"]);
}

#[test]
fn a_collectors_errors_name_file_line_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::init(folder.path(), &[]).unwrap();
    let command = |args: &[&str]| ran(&mut collector.command(args).unwrap());
    says(&command(&["check-config"]), 0, &["fine"]);
    for (file, bad, parts) in [
        ("collector.toml", "[agents]\nlissten = \"[::]:1\"\n", &["collector.toml", "2", "lissten"][..]),
        (
            "collector.toml",
            "state_dir = \"/x\"\n\n[agents]\nlisten = \"nowhere\"\n",
            &["collector.toml", "4"],
        ),
        ("collector.toml", "[agents\n", &["collector.toml", "1"]),
        ("policy.toml", "learning = false\nlerning = true\n", &["policy.toml", "2", "lerning"]),
        ("policy.toml", "[quarantine]\n\nthreshold = 2.0\n", &["policy.toml", "threshold", "at most 1"]),
        ("policy.toml", "[quarantine]\nmode = \"sometimes\"\n", &["policy.toml", "2", "dry-run"]),
    ] {
        let path = folder.path().join(file);
        let good = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, bad).unwrap();
        let checked = command(&["check-config"]);
        says(&checked, 1, parts);
        assert!(
            checked.1.contains(&folder.path().display().to_string()),
            "the file's whole path: {}",
            checked.1
        );
        let run = command(&["run"]);
        says(&run, 1, &parts[..1]);
        assert!(parts.iter().all(|part| run.1.contains(part)), "run says less than check-config: {}", run.1);
        std::fs::write(&path, good).unwrap();
    }
    says(&command(&["fly"]), 2, &["fly", "--help"]);
    says(&command(&["tokens", "add", "--expires", "soon"]), 2, &["soon"]);
}

#[test]
fn a_state_folder_that_is_not_there_and_a_port_that_is_taken_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    let mut command = Command::new(binary("farmwatch-collector").unwrap());
    says(&ran(command.arg("--state-dir").arg(&empty).arg("run")), 1, &["farmwatch-collector init"]);

    let collector = Collector::init(&folder.path().join("collector"), &[]).unwrap();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", collector.agents_port)).unwrap();
    let told = ran(&mut collector.command(&["run"]).unwrap());
    says(&told, 1, &[&collector.agents_port.to_string()]);
    let again = ran(&mut collector.command(&["init"]).unwrap());
    assert!(Path::new(&collector.folder().join("ca.key")).is_file(), "{}", again.1);
}
