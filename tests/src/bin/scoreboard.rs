//! `./tests/scoreboard`: how right the rules are. Exit code 1 below the goals.

use std::process::ExitCode;

use clap::Parser;
use farmwatch_tests::scoreboard::{self, print};

/// Prints how right the rules are, from data in the repository; exit code 1 below the goals.
#[derive(Debug, Parser)]
struct Args {
    /// Only sections whose title contains this.
    section: Option<String>,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let sections = scoreboard::run(args.section.as_deref())?;
    anyhow::ensure!(!sections.is_empty(), "no section has that title; run without one to see all");
    let printed = if args.json { print::json(&sections)? } else { print::table(&sections) };
    anstream::println!("{printed}");
    let missed = scoreboard::missed(&sections);
    for row in &missed {
        anstream::eprintln!("below its goal: {}", row.label);
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
