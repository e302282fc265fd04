//! How right the correlator is about whole fleets: simulated ones, through the collector's own replay.
//!
//! Two kinds of fleets, each over several seeds: one with many farms, for what is found and how fast; one without
//! any, for false alerts. Neither is at the true rate of farms, at which a fleet of this size has none; what an
//! alert is worth there follows from both by Bayes. The parameters are `test.toml`'s. Nothing is fitted on them, but the
//! model was mended by what earlier seeds had shown; the default seeds are others ([`FIRST_SEED`]).

mod ablation;
mod baselines;
mod chance;
mod diagram;
mod fleet_run;
mod found;
mod honest;
mod innocent;
mod many;
mod reasons;
mod sensitivity;
mod tally;
mod thresholds;
mod worth;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use farmwatch_shared::weights::Weights;

use super::Section;
use fleet_run::Run;
use tally::Tally;

/// What seeds 1 to 25 had shown was looked at, and mended.
pub const FIRST_SEED: u64 = 26;

/// A rate of rates.toml that is multiplied, and by how much.
pub type Scale = (String, f64);

/// How large a measurement is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Laptops of each fleet with farms.
    pub devices: u32,
    /// Laptops of each fleet without.
    pub honest: u32,
    /// Days that each lives.
    pub days: u32,
    /// Fleets of each kind.
    pub seeds: u32,
    /// The first one's seed; the others follow.
    pub first_seed: u64,
    /// Fleets at once.
    pub threads: usize,
    /// Where the reliability diagram goes.
    pub svg: Option<PathBuf>,
    /// Where the reasons of missed farms and false alerts go, as NDJSON.
    pub why: Option<PathBuf>,
    /// A rate that is multiplied.
    pub scale: Option<Scale>,
    /// Also measure without each kind of evidence.
    pub ablation: bool,
    /// What is judged with.
    pub weights: Weights,
}

/// Lives all fleets and measures.
pub fn measure(options: &Options) -> anyhow::Result<Vec<Section>> {
    let orders = many::orders(options, options.scale.as_ref(), &options.weights)?;
    let runs = many::live(orders, options.threads)?;
    let (with, without): (Vec<&Run>, Vec<&Run>) = runs.iter().partition(|run| run.has_farms());
    let reliability = worth::reliability(&runs);
    if let Some(path) = &options.svg {
        std::fs::create_dir_all(folder(path))?;
        std::fs::write(path, diagram::svg(&reliability))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.why {
        std::fs::create_dir_all(folder(path))?;
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        reasons::write(&runs, BufWriter::new(file))?;
    }
    let mut sections = vec![
        Section { title: "Farms: what was run", rows: fleet_run::rows(&runs) },
        Section { title: "Farms found", rows: found::rows(&with) },
        Section { title: "Time until a farm is found", rows: found::times(&with) },
        Section { title: "Alerts about honest laptops", rows: honest::rows(&without) },
        Section { title: "Honest laptops where there are farms", rows: innocent::rows(&with) },
        Section { title: "Innocent twins that were there", rows: honest::exposure(&without) },
        Section {
            title: "Other thresholds",
            rows: thresholds::rows(&with, &without, &options.weights.threshold),
        },
        Section { title: "Worth of an alert at the true rate of farms", rows: worth::rows(&with, &without) },
        Section { title: "Are probabilities what they say", rows: worth::reliability_rows(&reliability) },
    ];
    if options.ablation {
        let everything = Tally::sum(runs.iter().map(Tally::of));
        sections.push(Section {
            title: "Without each kind of evidence",
            rows: ablation::rows(options, everything)?,
        });
    }
    Ok(sections)
}

/// Lives fleets with each base rate three times as high, and a third of it.
pub fn measure_sensitivity(options: &Options) -> anyhow::Result<Vec<Section>> {
    Ok(vec![Section { title: "Every base rate × 3 and ÷ 3", rows: sensitivity::rows(options)? }])
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::print;

    /// Small, but the whole way: simulator, replay, figures.
    #[test]
    fn a_small_measurement_finds_farms_and_says_what_it_counted() {
        let folder = tempfile::tempdir().unwrap();
        let [svg, why] = ["farms.svg", "why.ndjson"].map(|name| folder.path().join(name));
        let options = Options {
            devices: 80,
            honest: 80,
            days: 3,
            seeds: 1,
            first_seed: 1,
            threads: 2,
            svg: Some(svg.clone()),
            why: Some(why.clone()),
            scale: None,
            ablation: false,
            weights: Weights::shipped(),
        };
        let sections = measure(&options).unwrap();
        let text = print::table(&sections);
        assert_eq!(sections.len(), 9);
        assert!(text.contains("three or more devices on one public address"), "{text}");
        assert!(std::fs::read_to_string(svg).unwrap().contains("<svg"));
        let found = &sections[1].rows;
        assert!(found.iter().any(|row| row.figure.value() > 0.0), "no farm is found at all: {text}");
        // Quarantine acts on farm laptops, so its decisions are read.
        let isolated = &sections[4].rows[2];
        assert!(isolated.label.contains("farm laptops") && isolated.figure.value() > 0.0, "{text}");
        // A fleet too small for a ship has one.
        let exposure = &sections[5].rows[0].notes;
        assert!(exposure.iter().any(|line| line.starts_with("ship:")), "{exposure:?}");
        assert!(exposure.iter().any(|line| line.starts_with("always_remote:")), "{exposure:?}");
        let thresholds = &sections[6].rows;
        assert!(thresholds.iter().any(|row| row.label.contains("(shipped)")), "{text}");
        // Every line of reasons is one that a program reads.
        for line in std::fs::read_to_string(why).unwrap().lines() {
            let reason: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(reason["laptops"].as_array().is_some_and(|laptops| !laptops.is_empty()), "{line}");
        }
    }
}
