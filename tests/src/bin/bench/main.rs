//! What Farmwatch reaches: a table of values, each beside a peer or a limit measured in the same run.

mod alert;
mod correlate;
mod heartbeat;
mod idle;
mod ingest;
mod input;
mod machine;
mod million;
mod postgres;
mod replay;
mod row;
mod scan;
mod senders;
mod storm;
mod windows;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use row::Row;

/// Measures agent and collector on this machine and prints a table.
#[derive(Parser)]
struct Args {
    /// Fewer rounds and shorter spans: about six minutes instead of twenty-five
    #[arg(long)]
    quick: bool,
    /// Only this section; may be given several times
    #[arg(long, value_enum)]
    only: Vec<Section>,
    /// Minutes over which the idle agent's CPU is counted
    #[arg(long, value_name = "MINUTES")]
    idle_minutes: Option<u64>,
    /// Laptops of section `million`, 20,000 with --quick
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    devices: u32,
    /// Laptops of the fleets of section `correlate` [default: 1000,10000,100000; 1000,10000 with --quick]
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    fleets: Vec<u32>,
    /// Laptops of section `replay`, streamed from the simulator: how long a fleet of 20,000 would take
    /// [default: the 300 of the demonstration, from a file]
    #[arg(long, value_name = "NUMBER")]
    laptops: Option<u32>,
    /// Days of section `replay` [default: 10; 3 with --quick]
    #[arg(long, value_name = "NUMBER")]
    days: Option<u32>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

/// A part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Start of a remote tool until its alert is on the console
    Alert,
    /// Memory and CPU of the enrolled agent, size of its program
    Idle,
    /// CPU of the agent while processes and devices come and go without end
    Storm,
    /// CPU of the agent while a fast mouse moves
    Input,
    /// `scan` beside `ps aux`
    Scan,
    /// Bytes of a heartbeat
    Heartbeat,
    /// Durable heartbeats and reports a second over mutual TLS
    Ingest,
    /// The same on PostgreSQL, with one, two and three collectors on one database
    Postgres,
    /// Lines a second of `replay`
    Replay,
    /// CPU of correlation for each changed report, by the fleet's size
    Correlate,
    /// Only if it is asked for: memory, file and pages of a collector with very many laptops
    Million,
    /// The agent for Windows under Wine, where Wine is installed: memory, start, a tool seen
    Windows,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut rows = Vec::new();
    for section in Section::value_variants() {
        if !args.only.is_empty() && !args.only.contains(section) {
            continue;
        }
        if *section == Section::Million && args.only.is_empty() {
            continue;
        }
        if *section == Section::Windows && args.only.is_empty() && !windows::is_here() {
            continue;
        }
        if !args.json {
            println!("── {section:?} (load {})", machine::load());
        }
        match measure(*section, &args) {
            Ok(more) => {
                more.iter().filter(|_| !args.json).for_each(|row| println!("{}", row.line()));
                rows.extend(more);
            }
            Err(error) => rows.push(Row::failed(&format!("{section:?}"), &format!("{error:#}"))),
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        println!("\n{}", row::table(&rows));
    }
    Ok(())
}

fn measure(section: Section, args: &Args) -> anyhow::Result<Vec<Row>> {
    let quick = args.quick;
    match section {
        Section::Alert => alert::measure(if quick { 3 } else { 10 }),
        Section::Idle => {
            let minutes = args.idle_minutes.unwrap_or(if quick { 1 } else { 10 });
            idle::measure(Duration::from_mins(minutes))
        }
        Section::Storm => storm::measure(Duration::from_secs(if quick { 30 } else { 120 })),
        Section::Input => input::measure(Duration::from_secs(if quick { 60 } else { 120 })),
        Section::Scan => scan::measure(if quick { 7 } else { 21 }),
        Section::Heartbeat => heartbeat::measure(),
        Section::Ingest => ingest::measure(Duration::from_secs(if quick { 4 } else { 10 })),
        Section::Postgres => postgres::measure(Duration::from_secs(if quick { 4 } else { 10 })),
        Section::Replay => {
            let days = args.days.unwrap_or(if quick { 3 } else { 10 });
            match args.laptops {
                Some(laptops) => replay::measure_stream(laptops, days),
                None => replay::measure(days),
            }
        }
        Section::Correlate if !args.fleets.is_empty() => correlate::measure(&args.fleets),
        Section::Correlate => {
            correlate::measure(if quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000] })
        }
        Section::Million => million::measure(if quick { 20_000.min(args.devices) } else { args.devices }),
        Section::Windows => windows::measure(if quick { 3 } else { 10 }),
    }
}
