//! A program that sees another wall clock than everybody else, by a library that is loaded into it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// What a program's environment must hold so that its clock is off by the seconds in `file`, which may change while it
/// runs. Timers go right.
pub fn library(file: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let library = file.with_extension("so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/clock.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    ensure!(
        built.context("a C compiler is missing: apt-get install gcc")?.success(),
        "the clock does not compile"
    );
    Ok(vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FARMWATCH_TEST_CLOCK", file.display().to_string()),
    ])
}

/// Puts the clock off by so many seconds.
pub fn set(file: &Path, seconds: i64) -> anyhow::Result<()> {
    let temporary = file.with_extension("new");
    std::fs::write(&temporary, seconds.to_string())?;
    Ok(std::fs::rename(temporary, file)?)
}
