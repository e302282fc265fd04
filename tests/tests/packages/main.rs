//! Both Debian packages, as an administrator meets them: install, units, upgrade, remove, purge. In a throw-away
//! copy of this machine's files, so the machine itself stays as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use farmwatch_tests::world::run;

#[test]
fn the_packages_install_upgrade_keeping_state_and_purge_without_a_trace() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["agent", "collector"] {
        build(name, folder.path());
        make_upgrade(name, folder.path());
    }
    let life = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/life");
    // A mount namespace of its own: needs root, and says so where there is none.
    let lived = run(Command::new("unshare").args(["--mount", "--net", "sh"]).arg(life).arg(folder.path()));
    let said = String::from_utf8_lossy(&lived.unwrap().stdout).into_owned();
    println!("{said}");
    assert!(said.ends_with("== done\n"), "{said}");
}

/// Packs the programs as they are built for the tests.
fn build(name: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../packaging/{name}/build-deb"));
    let mut command = Command::new(script);
    command.env("PROFILE", "dev").args(["--no-strip", "--fast", "--output"]).arg(package(folder, name));
    run(&mut command).unwrap();
}

/// The same package with a later version.
fn make_upgrade(name: &str, folder: &Path) {
    let tree = folder.join(format!("{name}.tree"));
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(package(folder, name)).arg(&tree)).unwrap();
    let control = tree.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control).unwrap();
    let lines = text.lines().map(|line| if line.starts_with("Version:") { "Version: 99.0-1" } else { line });
    std::fs::write(&control, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
    let next = package(folder, &format!("{name}-next"));
    run(Command::new("dpkg-deb").args(["--root-owner-group", "-Znone", "--build"]).arg(&tree).arg(next))
        .unwrap();
    std::fs::remove_dir_all(tree).unwrap();
}

fn package(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.deb"))
}
