//! Prints a simulated fleet's reports as the NDJSON that `farmwatch-collector replay` reads.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser;
use farmwatch_tests::fleet::{CALIBRATION, Fleet, Parameters, SANCTIONED, SMALL, TEST};
use jiff::Timestamp;

/// A simulated fleet, as reports for `farmwatch-collector replay -`.
#[derive(Parser)]
struct Args {
    /// `small` (the quickstart's), `test`, `calibration`, or a TOML file laid over rates.toml.
    #[arg(long, default_value = "small")]
    parameters: PathBuf,
    /// Laptops, instead of what the parameters say.
    #[arg(long)]
    devices: Option<u32>,
    /// Another seed is another fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Days to live.
    #[arg(long, default_value_t = 5)]
    days: u32,
    /// The last day ends at this time's midnight (UTC).
    #[arg(long, default_value = "2026-11-20T00:00:00Z")]
    until: Timestamp,
    /// Also write assets.csv, places.toml, policy.toml and labels.ndjson into this folder.
    #[arg(long)]
    beside: Option<PathBuf>,
    /// Print no reports, only how fast they come and in how much memory.
    #[arg(long)]
    speed: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let read;
    let over = match args.parameters.to_str() {
        Some("small") => SMALL,
        Some("test") => TEST,
        Some("calibration") => CALIBRATION,
        _ => {
            let path = &args.parameters;
            read =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            &read
        }
    };
    let mut parameters = Parameters::with(over)?;
    parameters.fleet.laptops = args.devices.unwrap_or(parameters.fleet.laptops);
    let laptops = parameters.fleet.laptops;
    let fleet = Fleet::new(parameters, args.seed, args.days, args.until)?;
    if let Some(folder) = &args.beside {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("assets.csv"), fleet.assets())?;
        std::fs::write(folder.join("places.toml"), fleet.sanctioned())?;
        std::fs::write(folder.join("policy.toml"), format!("sanctioned_tools = {SANCTIONED:?}\n"))?;
        let mut labels = io::BufWriter::new(std::fs::File::create(folder.join("labels.ndjson"))?);
        for label in fleet.labels() {
            serde_json::to_writer(&mut labels, &label)?;
            labels.write_all(b"\n")?;
        }
        labels.flush()?;
    }
    let start = Instant::now();
    let mut count = 0u64;
    let mut out: Box<dyn Write> =
        if args.speed { Box::new(io::sink()) } else { Box::new(io::BufWriter::new(io::stdout().lock())) };
    let written = fleet.live(|line| -> io::Result<()> {
        count += 1;
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")
    });
    match written.and_then(|()| out.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        other => other?,
    }
    if args.speed {
        let seconds = start.elapsed().as_secs_f64();
        let lived = f64::from(laptops) * f64::from(args.days);
        anstream::println!(
            "{laptops} laptops, {} days: {count} reports, {:.1} a device-day; {:.0} device-days/s, {:.0} MB at most",
            args.days,
            count as f64 / lived,
            lived / seconds,
            most_memory().unwrap_or(f64::NAN),
        );
    }
    Ok(())
}

/// The most memory that this process had, in megabytes.
fn most_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
