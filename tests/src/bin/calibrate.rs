//! What weights and thresholds are held against: how often each rule finds something on laptops in farms, on honestly
//! remote ones and on all others, and how many of them would be alerted about at which threshold.
//!
//! Fleets are of `calibration.toml`, which the scoreboard never uses. Laptops are judged one by one at the end of each
//! day, as `scan` would judge them; places are the scoreboard's matter.

use std::collections::{BTreeSet, HashMap};

use clap::Parser;
use farmwatch_shared::facts::Transition;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::judge::{self, Judged};
use farmwatch_shared::report::Report;
use farmwatch_shared::rules::{self, Context, Evidence};
use farmwatch_shared::state::State;
use farmwatch_shared::usage::Usage;
use farmwatch_shared::weights::Weights;
use farmwatch_tests::fleet::{CALIBRATION, Fleet, Label, Parameters, SANCTIONED};
use jiff::{SignedDuration, Timestamp};

/// What rules look back on, as in the collector.
const DAYS: usize = 14;
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(14 * 24);
const THRESHOLDS: [f64; 7] = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5];
/// Calibration's seeds begin here.
const FIRST_SEED: u64 = 1_000_000;

/// Findings by whose laptops they are made of, and alerts by threshold, in calibration fleets.
#[derive(Parser)]
struct Args {
    /// Laptops of each fleet.
    #[arg(long, default_value_t = 600)]
    devices: u32,
    /// Days that each lives.
    #[arg(long, default_value_t = 20)]
    days: u32,
    /// Fleets.
    #[arg(long, default_value_t = 4)]
    seeds: u64,
    /// Farms in each fleet, instead of what the parameters say.
    #[arg(long)]
    farms: Option<u32>,
    /// Also print every laptop in a farm, and all others that ever reached this probability.
    #[arg(long)]
    list: Option<f64>,
}

/// A laptop as the collector knows it.
#[derive(Default)]
struct Laptop {
    state: State,
    usage: Usage,
    transitions: Vec<Transition>,
    /// The judgement of the day on which it was thought most likely to stand in a farm.
    worst: Judged,
    /// Rules that ever found something.
    ever: BTreeSet<String>,
}

/// Whose hands, as the weights tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Farm,
    Honest,
    Own,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let weights = Weights::shipped();
    let mut all = Vec::new();
    for seed in FIRST_SEED..FIRST_SEED + args.seeds {
        all.extend(live(&args, seed, &weights)?);
    }
    print_rules(&all, &weights);
    print_thresholds(&all, f64::from(args.days) / 30.0);
    if let Some(least) = args.list {
        print_laptops(&all, least);
    }
    Ok(())
}

/// Lives a fleet and judges each of its laptops at the end of each day.
fn live(args: &Args, seed: u64, weights: &Weights) -> anyhow::Result<Vec<(Label, Laptop)>> {
    let mut parameters = Parameters::with(CALIBRATION)?;
    parameters.fleet.laptops = args.devices;
    parameters.farms.drawn = args.farms.unwrap_or(parameters.farms.drawn);
    let fleet = Fleet::new(parameters, seed, args.days, "2026-11-20T00:00:00Z".parse()?)?;
    let labels: Vec<Label> = fleet.labels().collect();
    let context = Context { sanctioned_tools: SANCTIONED.map(str::to_owned).into(), ..Context::default() };
    let mut laptops: HashMap<DeviceId, Laptop> = HashMap::new();
    let mut today = 0;
    fleet.live(|line| -> anyhow::Result<()> {
        let day = line.received_at.as_second().div_euclid(86_400);
        if std::mem::replace(&mut today, day) != day {
            laptops.values_mut().for_each(|laptop| laptop.judge(&context, weights, line.received_at));
        }
        laptops.entry(line.report.device.clone()).or_default().take(line.report);
        Ok(())
    })?;
    Ok(labels
        .into_iter()
        .filter_map(|label| Some((laptops.remove(&label.device)?, label)))
        .map(|(l, n)| (n, l))
        .collect())
}

impl Laptop {
    fn take(&mut self, report: Report) {
        if report.whole {
            self.state = State::default();
        }
        report.gone.iter().for_each(|key| self.state.remove(key));
        report.set.into_iter().for_each(|(key, value)| self.state.set(key, value));
        for window in &report.windows {
            self.usage.add(window);
        }
        self.transitions.extend(report.transitions);
    }

    fn judge(&mut self, context: &Context, weights: &Weights, now: Timestamp) {
        let since = now - LOOK_BACK;
        self.usage.keep_last(DAYS);
        self.transitions.retain(|transition| transition.at >= since);
        self.transitions.sort_by_key(|transition| transition.at);
        let Self { state, usage, transitions, .. } = &*self;
        let judged = judge::device(
            rules::findings(&Evidence { state, usage, transitions, context, now }, weights),
            weights,
        );
        self.ever.extend(judged.findings.iter().map(|finding| finding.rule.clone()));
        if judged.posterior >= self.worst.posterior {
            self.worst = judged;
        }
    }
}

fn whose(label: &Label) -> Whose {
    let remote = ["remote", "in_use", "kvm", "developer", "overlay"];
    let twin = |twin: &&str| remote.iter().any(|word| twin.replace(' ', "_").contains(word));
    match label.farm {
        Some(_) => Whose::Farm,
        None if label.twins.iter().any(twin) => Whose::Honest,
        None => Whose::Own,
    }
}

/// Each rule: how often it ever found something, by whose laptop, and what that supports beside what the file says.
fn print_rules(all: &[(Label, Laptop)], weights: &Weights) {
    let of =
        |whose_: Whose| all.iter().filter(move |(label, _)| whose(label) == whose_).map(|(_, laptop)| laptop);
    anstream::println!(
        "{} laptops in farms, {} honestly remote, {} others",
        of(Whose::Farm).count(),
        of(Whose::Honest).count(),
        of(Whose::Own).count()
    );
    anstream::println!(
        "{:34} {:>7} {:>7} {:>7}   {:>13}   {:>11}",
        "rule",
        "farm",
        "honest",
        "own",
        "supports Λ, B",
        "file Λ, B"
    );
    let rules: BTreeSet<&String> = all.iter().flat_map(|(_, laptop)| &laptop.ever).collect();
    for rule in rules {
        // Half a laptop more on either side: none seen is not never.
        let share = |whose| {
            let hits = of(whose).filter(|laptop| laptop.ever.contains(rule)).count();
            (hits as f64 + 0.5) / (of(whose).count() as f64 + 1.0)
        };
        let (farm, honest, own) = (share(Whose::Farm), share(Whose::Honest), share(Whose::Own));
        let (llr, honest_llr) = weights.rule.get(rule).map_or((0.0, 0.0), |pair| (pair.farm, pair.honest));
        anstream::println!(
            "{rule:34} {farm:7.4} {honest:7.4} {own:7.4}   {:6.1} {:6.1}   {llr:5.1} {honest_llr:5.1}",
            (farm / own).ln(),
            (honest / own).ln()
        );
    }
}

/// Each threshold: single laptops found, and honest ones alerted about in a device-month.
fn print_thresholds(all: &[(Label, Laptop)], months: f64) {
    anstream::println!(
        "\n{:>9} {:>16} {:>16} {:>26}",
        "threshold",
        "single laptops",
        "all in farms",
        "honest, in a device-month"
    );
    let single = |label: &Label| label.shape.is_some_and(|shape| shape.laptops == 1);
    let honest = all.iter().filter(|(label, _)| label.farm.is_none()).count() as f64 * months;
    for threshold in THRESHOLDS {
        let share = |which: &dyn Fn(&Label) -> bool| {
            let chosen: Vec<_> = all.iter().filter(|(label, _)| which(label)).collect();
            (chosen.iter().filter(|(_, laptop)| laptop.worst.posterior >= threshold).count(), chosen.len())
        };
        let ((found, of), (named, farmed)) = (share(&single), share(&|label| label.farm.is_some()));
        let wrong = share(&|label| label.farm.is_none()).0;
        anstream::println!(
            "{threshold:9} {:>16} {:>16} {:>26}",
            format!("{found} of {of}"),
            format!("{named} of {farmed}"),
            format!("{wrong} in {honest:.0}: {:.1e}", wrong as f64 / honest)
        );
    }
}

fn print_laptops(all: &[(Label, Laptop)], least: f64) {
    let mut chosen: Vec<_> = all
        .iter()
        .filter(|(label, laptop)| label.farm.is_some() || laptop.worst.posterior >= least)
        .collect();
    chosen.sort_by(|a, b| b.1.worst.posterior.total_cmp(&a.1.worst.posterior));
    for (label, laptop) in chosen {
        let who = match label.shape {
            Some(shape) => format!(
                "{} of {:?}, {:?}, touched daily: {}",
                shape.laptops, shape.style, shape.care, shape.daily_touch
            ),
            None => format!("honest: {:?} {:?}", label.site, label.twins),
        };
        let bars = laptop
            .worst
            .bars
            .iter()
            .map(|bar| format!("{} {:.1}/{:.1}", bar.rule, bar.llr, bar.honest_llr.unwrap_or(0.0)));
        let Judged { posterior, llr, honest_llr, .. } = &laptop.worst;
        anstream::println!(
            "{posterior:.4} Λ {llr:.1} B {honest_llr:.1} {who}: {}",
            bars.collect::<Vec<_>>().join(", ")
        );
    }
}
