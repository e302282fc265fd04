//! `./tests/scoreboard`: how right the rules are. Exit code 1 below the goals.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use farmwatch_shared::weights::Weights;
use farmwatch_tests::scoreboard::farms::{self, FIRST_SEED, Options};
use farmwatch_tests::scoreboard::{self, Section, print};

/// Prints how right the rules are, from data in the repository; exit code 1 below the goals.
#[derive(Debug, Parser)]
struct Args {
    /// Only sections whose title contains this; `farms` lives whole fleets, which takes minutes and is in no other run.
    section: Option<String>,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    /// Of `farms`: laptops of each fleet with farms [default: 300].
    #[arg(long)]
    devices: Option<u32>,
    /// Of `farms`: laptops of each fleet without [default: 1000; as --devices if that is given, with --ablation and
    /// with --sensitivity].
    #[arg(long)]
    honest: Option<u32>,
    /// Of `farms`: days that each fleet lives [default: 30; with --ablation 14, with --sensitivity 8].
    #[arg(long)]
    days: Option<u32>,
    /// Of `farms`: fleets with farms, and as many without [default: 5; with --ablation 2, with --sensitivity 1].
    #[arg(long)]
    seeds: Option<u32>,
    /// Of `farms`: the first fleet's seed; the others' follow. Seeds 1 and 2 were looked at while the model was built.
    #[arg(long, default_value_t = FIRST_SEED)]
    first_seed: u64,
    /// Of `farms`: fleets at once.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Of `farms`: where the reliability diagram goes.
    #[arg(long, default_value = "target/farms.svg")]
    svg: PathBuf,
    /// Of `farms`: write why each missed farm was missed and each false alert raised, as NDJSON.
    #[arg(long)]
    why: Option<PathBuf>,
    /// Of `farms`: also judge the same fleets without each kind of evidence.
    #[arg(long)]
    ablation: bool,
    /// Of `farms`: instead, smaller fleets with every base rate × 3 and ÷ 3.
    #[arg(long, conflicts_with_all = ["ablation", "why", "scale"])]
    sensitivity: bool,
    /// Of `farms`: judge with the shipped weights and what this file changes of them, as an operator's does.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Of `farms`: multiplies a rate of rates.toml, such as `people.docked=3`.
    #[arg(long, value_name = "RATE=FACTOR")]
    scale: Option<String>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let sections = match args.section.as_deref() {
        Some("farms") if args.sensitivity => farms::measure_sensitivity(&options(&args)?)?,
        Some("farms") => farms::measure(&options(&args)?)?,
        section => scoreboard::run(section)?,
    };
    anyhow::ensure!(!sections.is_empty(), "no section has that title; run without one to see all");
    Ok(tell(&sections, args.json)?)
}

fn options(args: &Args) -> anyhow::Result<Options> {
    let scale = args.scale.as_deref().map(|text| {
        let (rate, factor) = text.split_once('=').context("--scale is RATE=FACTOR")?;
        anyhow::Ok((rate.to_owned(), factor.parse().context("--scale's factor is no number")?))
    });
    let weights = match &args.weights {
        None => Weights::shipped(),
        Some(path) => {
            let text = std::fs::read_to_string(path);
            Weights::with_overrides(&text.with_context(|| format!("cannot read {}", path.display()))?)?
        }
    };
    // Runs by the hundred have to be small to be affordable.
    let (devices, days, seeds) = match (args.sensitivity, args.ablation) {
        (true, _) => (300, 8, 1),
        (_, true) => (300, 14, 2),
        _ => (300, 30, 5),
    };
    let honest = if args.ablation || args.sensitivity { devices } else { 1000 };
    Ok(Options {
        devices: args.devices.unwrap_or(devices),
        honest: args.honest.or(args.devices).unwrap_or(honest),
        first_seed: args.first_seed,
        days: args.days.unwrap_or(days),
        seeds: args.seeds.unwrap_or(seeds),
        threads: args.threads,
        svg: Some(args.svg.clone()),
        why: args.why.clone(),
        ablation: args.ablation,
        weights,
        scale: scale.transpose()?,
    })
}

fn tell(sections: &[Section], json: bool) -> serde_json::Result<ExitCode> {
    let printed = if json { print::json(sections)? } else { print::table(sections) };
    anstream::println!("{printed}");
    let missed = scoreboard::missed(sections);
    for row in &missed {
        anstream::eprintln!("below its goal: {}", row.label);
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
