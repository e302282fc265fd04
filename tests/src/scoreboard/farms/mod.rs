//! How right the correlator is about whole fleets: simulated ones, through the collector's own replay.
//!
//! Two kinds of fleets, each over several seeds: one with many farms, for what is found and how fast; one without
//! any, for false alerts. Neither is at the true rate of farms, at which a fleet of this size has none or two; what an
//! alert is worth there follows from both by Bayes. The parameters are `test.toml`'s: nothing is ever fitted on them.

mod baselines;
mod chance;
mod diagram;
mod fleet_run;
mod found;
mod honest;
mod worth;

use std::path::PathBuf;
use std::sync::Mutex;

use crate::fleet::{Parameters, TEST};

use super::Section;
use fleet_run::{Order, Run};

/// How large a measurement is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Laptops of each fleet.
    pub devices: u32,
    /// Days that each lives.
    pub days: u32,
    /// Fleets of each kind.
    pub seeds: u32,
    /// Fleets at once.
    pub threads: usize,
    /// Where the reliability diagram goes.
    pub svg: Option<PathBuf>,
    /// A rate of rates.toml that is multiplied, and by how much.
    pub scale: Option<(String, f64)>,
}

/// Lives all fleets and measures.
pub fn measure(options: &Options) -> anyhow::Result<Vec<Section>> {
    let runs = live_all(options)?;
    let (with, without): (Vec<&Run>, Vec<&Run>) = runs.iter().partition(|run| run.has_farms());
    let reliability = worth::reliability(&runs);
    if let Some(path) = &options.svg {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, diagram::svg(&reliability))?;
    }
    Ok(vec![
        Section { title: "Farms: what was run", rows: fleet_run::rows(&runs) },
        Section { title: "Farms found", rows: found::rows(&with) },
        Section { title: "Time until a farm is found", rows: found::times(&with) },
        Section { title: "Alerts about honest laptops", rows: honest::rows(&without) },
        Section { title: "Worth of an alert at the true rate of farms", rows: worth::rows(&with, &without) },
        Section { title: "Are probabilities what they say", rows: worth::reliability_rows(&reliability) },
    ])
}

/// Every fleet, some at a time.
fn live_all(options: &Options) -> anyhow::Result<Vec<Run>> {
    let parameters = |drawn: Option<u32>| -> anyhow::Result<Parameters> {
        let scale = options.scale.as_ref().map(|(name, by)| (name.as_str(), *by));
        let mut parameters = Parameters::scaled(TEST, scale)?;
        parameters.fleet.laptops = options.devices;
        parameters.farms.drawn = match drawn {
            Some(drawn) => drawn,
            // At most a fifth of the fleet stands in farms.
            None => parameters.farms.drawn.min(options.devices / 20),
        };
        Ok(parameters)
    };
    let mut orders = Vec::new();
    for seed in 1..=u64::from(options.seeds) {
        for drawn in [None, Some(0)] {
            let mut parameters = parameters(drawn)?;
            // Half of all companies send everything through a VPN: every other fleet, so that few seeds have both.
            parameters.fleet.always_on_vpn = if seed % 2 == 0 { 1.0 } else { 0.0 };
            orders.push(Order { parameters, seed, days: options.days });
        }
    }
    // The longest last would leave a core idle.
    let waiting = Mutex::new(orders);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().ok().and_then(|mut orders| orders.pop());
                    let Some(order) = next else { break };
                    let run = fleet_run::live(order);
                    if let Ok(mut done) = done.lock() {
                        done.push(run);
                    }
                }
            });
        }
    });
    let done = done.into_inner().map_err(|_| anyhow::anyhow!("a fleet's run panicked"))?;
    let mut runs = done.into_iter().collect::<anyhow::Result<Vec<Run>>>()?;
    runs.sort_by_key(|run| (run.seed, run.has_farms()));
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::print;

    /// Small, but the whole way: simulator, replay, figures.
    #[test]
    fn a_small_measurement_finds_farms_and_says_what_it_counted() {
        let folder = tempfile::tempdir().unwrap();
        let svg = folder.path().join("farms.svg");
        let options =
            Options { devices: 80, days: 3, seeds: 1, threads: 2, svg: Some(svg.clone()), scale: None };
        let sections = measure(&options).unwrap();
        let text = print::table(&sections);
        assert_eq!(sections.len(), 6);
        assert!(text.contains("three or more devices on one public address"), "{text}");
        assert!(std::fs::read_to_string(svg).unwrap().contains("<svg"));
        let found = &sections[1].rows;
        assert!(found.iter().any(|row| row.figure.value() > 0.0), "no farm is found at all: {text}");
    }
}
