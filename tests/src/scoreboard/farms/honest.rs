//! Alerts about laptops that stand in no farm, by kind of alert and innocent twin.

use std::collections::BTreeMap;

use farmwatch_collector::store::AlertKind;

use super::baselines::NAMES;
use super::chance::poisson;
use super::fleet_run::{Raised, Run};
use crate::fleet::{Group, Label, is_plain};
use crate::scoreboard::row::{Figure, Row};

/// Rates in a device-month.
pub fn rows(runs: &[&Run]) -> Vec<Row> {
    let months: f64 = runs.iter().map(|run| run.months(run.laptops.len())).sum();
    let kinds = [
        ("site alerts in a device-month", AlertKind::Site, Some(1e-5)),
        ("device alerts in a device-month", AlertKind::Device, Some(1e-4)),
        (
            "policy alerts in a device-month (they say what IT forbids, not that it is a farm)",
            AlertKind::Policy,
            None,
        ),
    ];
    let named = |baseline: usize| {
        let laptops = runs.iter().flat_map(|run| &run.laptops);
        rate(laptops.filter(|laptop| laptop.baselines[baseline].is_some()).count(), months)
    };
    kinds
        .into_iter()
        .map(|(label, kind, goal)| {
            let count = alerts(runs, kind).count();
            let mut row = Row::figure(label, rate(count, months)).notes(by_twin(runs, kind));
            if kind == AlertKind::Site {
                for (baseline, name) in NAMES.iter().enumerate() {
                    row = row.beside(&format!("laptops named by: {name}"), named(baseline));
                }
            }
            match goal {
                Some(goal) => row.at_most(goal),
                None => row,
            }
        })
        .collect()
}

/// So many in so many device-months.
pub fn rate(count: usize, months: f64) -> Figure {
    let (low, high) = poisson(count);
    Figure::Number { value: count as f64 / months, interval: (low / months, high / months) }
}

fn alerts<'a>(runs: &'a [&'a Run], kind: AlertKind) -> impl Iterator<Item = (&'a Run, &'a Raised)> {
    runs.iter()
        .flat_map(|run| run.alerts.values().map(move |alert| (*run, alert)))
        .filter(move |(_, a)| a.kind == kind)
}

/// A line for each kind of site or twin that has any: alerts, and device-months of those laptops.
///
/// An alert about many laptops is counted for what half of them or more have in common: one docked person among the
/// thirty of an office did not lead to it.
fn by_twin(runs: &[&Run], kind: AlertKind) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (run, alert) in alerts(runs, kind) {
        let mut of_alert: BTreeMap<String, usize> = BTreeMap::new();
        for twin in alert.laptops.keys().flat_map(|index| twins(&run.laptops[*index].label)) {
            *of_alert.entry(twin).or_default() += 1;
        }
        let half = alert.laptops.len().div_ceil(2);
        let common: Vec<String> =
            of_alert.into_iter().filter(|(_, count)| *count >= half).map(|(twin, _)| twin).collect();
        let common = if common.is_empty() { vec!["nothing in common".to_owned()] } else { common };
        common.into_iter().for_each(|twin| *counts.entry(twin).or_default() += 1);
    }
    let mut months: BTreeMap<String, f64> = BTreeMap::new();
    for run in runs {
        for laptop in &run.laptops {
            for twin in twins(&laptop.label) {
                *months.entry(twin).or_default() += run.months(1);
            }
        }
    }
    let mut lines: Vec<(String, usize)> = counts.into_iter().collect();
    lines.sort_by_key(|(twin, count)| (std::cmp::Reverse(*count), twin.clone()));
    let told = lines.into_iter().map(|(twin, count)| {
        let months = months.get(&twin).copied().unwrap_or(f64::NAN);
        let (low, high) = poisson(count);
        format!(
            "{twin}: {count} in {months:.0} device-months, {:.4} each ({:.4} to {:.4})",
            count as f64 / months,
            low / months,
            high / months
        )
    });
    told.collect()
}

/// What may have led to an alert about a laptop: its site's kind, what it does, or nothing known.
fn twins(label: &Label) -> Vec<String> {
    let mut all: Vec<String> =
        label.twins.iter().filter(|twin| !is_plain(twin)).map(|twin| (*twin).to_owned()).collect();
    if label.site != Group::Alone {
        all.push(format!("{:?}", label.site).to_lowercase());
    }
    if label.office {
        all.push("goes to an office".to_owned());
    }
    if all.is_empty() {
        all.push("nothing special".to_owned());
    }
    all
}
