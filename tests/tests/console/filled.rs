//! A collector that has lived: a small company with one farm, replayed into its store.

use std::fmt::Write as _;
use std::path::Path;

use farmwatch_tests::fleet::{Fleet, Parameters, SMALL};
use farmwatch_tests::world::{Collector, run};
use jiff::Timestamp;

/// A name that people really have, and that no table is made for.
const LONG: &str = "Maria-Antónia Wolfeschlegelsteinhausenbergerdorff de Albuquerque e Vasconcelos";

/// Creates it in `folder` and starts it.
pub fn collector(folder: &Path) -> Collector {
    let mut collector = Collector::init(folder, &[]).unwrap();
    let mut parameters = Parameters::with(SMALL).unwrap();
    parameters.fleet.laptops = 42;
    let fleet = Fleet::new(parameters, 3, 3, Timestamp::now()).unwrap();
    let first = fleet.asset_lines().next().unwrap();
    let assets = fleet.assets().replacen(&first.user, LONG, 1);
    std::fs::write(folder.join("assets.csv"), assets).unwrap();
    std::fs::write(folder.join("places.toml"), fleet.sanctioned()).unwrap();
    let mut lines = String::new();
    let lived = fleet.live(|line| {
        let line = serde_json::to_string(&line).expect("a line is JSON");
        let line = line.replace("\"lt-0001\"", "\"laptop-of-the-department-for-very-long-names-0001\"");
        writeln!(lines, "{line}")
    });
    lived.unwrap();
    std::fs::write(folder.join("fleet.ndjson"), lines).unwrap();
    let mut replay = collector.command(&["replay", "--into-state"]).unwrap();
    replay.arg(folder.join("fleet.ndjson")).arg("--assets").arg(folder.join("assets.csv"));
    run(replay.arg("--places").arg(folder.join("places.toml"))).unwrap();
    collector.start().unwrap();
    collector
}
