//! What an alert is worth where farms are as rare as they are, and whether probabilities are what they say.

use farmwatch_collector::store::AlertKind;
use serde::Serialize;

use super::fleet_run::Run;
use crate::scoreboard::row::{Figure, Row, clopper_pearson};

/// Ends of the reliability table's bins.
const BINS: [f64; 9] = [0.0, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 0.9, 0.99, 1.000_001];

/// P(a laptop stands in a farm | an alert names it), by Bayes from fleets with farms and fleets without.
pub fn rows(with: &[&Run], without: &[&Run]) -> Vec<Row> {
    let rate = with.first().map_or(0.0, |run| run.base_rate);
    let mut rows = Vec::new();
    for (label, kinds) in [
        ("site alerts: laptops named that stand in a farm", &[AlertKind::Site][..]),
        ("device alerts: laptops named that stand in a farm", &[AlertKind::Device]),
    ] {
        let farmed = named(with, kinds, true);
        let honest = named(without, kinds, false);
        let (found, wrong) = (clopper_pearson(farmed.0, farmed.1), clopper_pearson(honest.0, honest.1));
        let worth = |found: f64, wrong: f64| found * rate / (found * rate + wrong * (1.0 - rate));
        let share = |(count, of): (usize, usize)| if of == 0 { 0.0 } else { count as f64 / of as f64 };
        let value = worth(share(farmed), share(honest));
        let note = format!(
            "{} of {} farm laptops and {} of {} honest ones named; 1 laptop in {:.0} stands in a farm",
            farmed.0,
            farmed.1,
            honest.0,
            honest.1,
            1.0 / rate
        );
        let interval = (worth(found.0, wrong.1), worth(found.1, wrong.0));
        rows.push(Row::figure(label, Figure::Number { value, interval }).notes([note]));
    }
    rows
}

/// Laptops that an alert of some kinds names, of those that stand in a farm, or do not.
fn named(runs: &[&Run], kinds: &[AlertKind], in_farm: bool) -> (usize, usize) {
    let (mut count, mut of) = (0, 0);
    for run in runs {
        for (index, _) in run.laptops.iter().enumerate().filter(|(_, l)| l.label.farm.is_some() == in_farm) {
            of += 1;
            count += usize::from(kinds.iter().any(|kind| run.named(*kind, index)));
        }
    }
    (count, of)
}

/// Laptops by the probability that was said, weighed so that farms are as rare as they are.
#[derive(Clone, Debug, Serialize)]
pub struct Reliability {
    /// The bins that hold any.
    pub bins: Vec<Bin>,
    /// Mean squared error.
    pub brier: f64,
    /// Of who always says the base rate.
    pub brier_of_base_rate: f64,
}

/// Laptops of which about the same was said.
#[derive(Clone, Debug, Serialize)]
pub struct Bin {
    /// Mean of what was said.
    pub said: f64,
    /// Share that stands in a farm, weighed.
    pub is: f64,
    /// Ends of its 95 % interval.
    pub interval: (f64, f64),
    /// Laptops in farms.
    pub farms: usize,
    /// Others.
    pub honest: usize,
}

/// Over all fleets.
pub fn reliability(runs: &[Run]) -> Reliability {
    let laptops: Vec<(f64, bool)> = runs
        .iter()
        .flat_map(|run| &run.laptops)
        .map(|laptop| (laptop.posterior, laptop.label.farm.is_some()))
        .collect();
    let rate = runs.first().map_or(0.0, |run| run.base_rate);
    let farms = laptops.iter().filter(|(_, is)| *is).count();
    let honest = laptops.len() - farms;
    let (of_farm, of_honest) = (rate / farms.max(1) as f64, (1.0 - rate) / honest.max(1) as f64);
    let weight = |is: bool| if is { of_farm } else { of_honest };
    let error = |(said, is): &(f64, bool)| weight(*is) * (said - f64::from(u8::from(*is))).powi(2);
    let bins = BINS.windows(2).filter_map(|ends| {
        let inside = || laptops.iter().filter(|(said, _)| (ends[0]..ends[1]).contains(said));
        let in_farm = inside().filter(|(_, is)| *is).count();
        let others = inside().count() - in_farm;
        if in_farm + others == 0 {
            return None;
        }
        let total: f64 = inside().map(|(_, is)| weight(*is)).sum();
        let said = inside().map(|(said, is)| said * weight(*is)).sum::<f64>() / total;
        let share = |farm: f64, honest: f64| rate * farm / (rate * farm + (1.0 - rate) * honest);
        let (low_f, high_f) = clopper_pearson(in_farm, farms);
        let (low_h, high_h) = clopper_pearson(others, honest);
        let is = share(in_farm as f64 / farms.max(1) as f64, others as f64 / honest.max(1) as f64);
        let interval = (share(low_f, high_h), share(high_f, low_h));
        Some(Bin { said, is, interval, farms: in_farm, honest: others })
    });
    Reliability {
        bins: bins.collect(),
        brier: laptops.iter().map(error).sum(),
        brier_of_base_rate: rate * (1.0 - rate),
    }
}

/// As lines.
pub fn reliability_rows(reliability: &Reliability) -> Vec<Row> {
    let ratio = reliability.brier / reliability.brier_of_base_rate;
    let brier =
        Row::number("Brier score, of that of saying the base rate", ratio, (f64::NAN, f64::NAN)).at_most(0.5);
    let note = format!("{:.3e} against {:.3e}", reliability.brier, reliability.brier_of_base_rate);
    let mut rows = vec![brier.notes([note])];
    for bin in &reliability.bins {
        let label = format!(
            "said {:.5} on average, of {} laptops in farms and {} others: stands in a farm",
            bin.said, bin.farms, bin.honest
        );
        rows.push(Row::number(label, bin.is, bin.interval));
    }
    rows
}
