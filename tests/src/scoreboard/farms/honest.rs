//! Alerts about laptops in fleets without farms, by kind of alert and innocent twin.

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
            let mut row = Row::figure(label, rate(count, months));
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

/// How long each kind of site or twin was there, and the alerts about it: none among few says little.
pub fn exposure(runs: &[&Run]) -> Vec<Row> {
    let mut months: BTreeMap<String, f64> = BTreeMap::new();
    let mut all = 0.0;
    for run in runs {
        all += run.months(run.laptops.len());
        for laptop in &run.laptops {
            for twin in twins(&laptop.label) {
                *months.entry(twin).or_default() += run.months(1);
            }
        }
    }
    let kinds = [AlertKind::Site, AlertKind::Device, AlertKind::Policy];
    let by_kind = kinds.map(|kind| by_twin(runs, kind));
    let mut lines: Vec<(f64, String)> = Vec::new();
    for (twin, months) in months {
        let [site, device, policy] = [0, 1, 2].map(|kind| by_kind[kind].get(&twin).copied().unwrap_or(0));
        let (_, most) = poisson(device);
        lines.push((
            months,
            format!(
                "{twin}: {months:.1} device-months; {site} site, {device} device (at most {:.2} each), {policy} policy alerts",
                most / months
            ),
        ));
    }
    lines.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let lines = lines.into_iter().map(|(_, line)| line);
    vec![Row::number("device-months of all honest laptops", all, (all, all)).notes(lines)]
}

/// Alerts by kind of site or twin.
///
/// An alert about many laptops is counted for what half of them or more have in common: one docked person among the
/// thirty of an office did not lead to it.
fn by_twin(runs: &[&Run], kind: AlertKind) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (run, alert) in alerts(runs, kind) {
        let mut of_alert: BTreeMap<String, usize> = BTreeMap::new();
        for twin in alert.laptops.keys().flat_map(|index| twins(&run.laptops[*index].label)) {
            *of_alert.entry(twin).or_default() += 1;
        }
        let half = alert.laptops.len().div_ceil(2);
        let common = of_alert.into_iter().filter(|(_, count)| *count >= half);
        common.for_each(|(twin, _)| *counts.entry(twin).or_default() += 1);
    }
    counts
}

/// What may have led to an alert about a laptop: its site's kind, what it does, or nothing known.
pub fn twins(label: &Label) -> Vec<String> {
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
