//! Prints a simulated fleet's reports as the NDJSON that `farmwatch-collector replay` reads.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use farmwatch_tests::fleet::{Fleet, SMALL};
use jiff::Timestamp;

/// A simulated fleet, as reports for `farmwatch-collector replay -`.
#[derive(Parser)]
struct Args {
    /// Parameters; without it the small fleet of the quickstart.
    #[arg(long)]
    parameters: Option<PathBuf>,
    /// Another seed is another fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Days to live.
    #[arg(long, default_value_t = 5)]
    days: u32,
    /// The last day ends at this time's midnight (UTC).
    #[arg(long, default_value = "2026-11-20T00:00:00Z")]
    until: Timestamp,
    /// Also write assets.csv, places.toml and labels.json into this folder.
    #[arg(long)]
    beside: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let text = match &args.parameters {
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        None => SMALL.to_owned(),
    };
    let parameters = toml::from_str(&text).context("the fleet's parameters are wrong")?;
    let fleet = Fleet::new(&parameters, args.seed, args.days, args.until);
    if let Some(folder) = &args.beside {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("assets.csv"), fleet.assets())?;
        std::fs::write(folder.join("places.toml"), fleet.sanctioned())?;
        std::fs::write(folder.join("labels.json"), serde_json::to_vec_pretty(&fleet.labels())?)?;
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = fleet.live(|line| -> std::io::Result<()> {
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")
    });
    match written.and_then(|()| out.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
