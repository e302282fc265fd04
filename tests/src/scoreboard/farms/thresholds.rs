//! What another threshold would find and cost: what an operator needs to choose one.
//!
//! Each alert counts at every threshold up to the most that was ever said of it, so one run suffices; below the shipped
//! threshold nothing was raised, and nothing can be read.

use farmwatch_collector::store::AlertKind;
use farmwatch_shared::weights::Threshold;

use super::fleet_run::Run;
use super::found::Sought;
use super::honest::rate;
use crate::scoreboard::row::{Figure, Row};

/// Thresholds beside the shipped one.
const LADDER: [f64; 7] = [0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99];

/// For each kind of alert, from the shipped threshold upwards: false alerts in a device-month, and farms found.
pub fn rows(with: &[&Run], without: &[&Run], shipped: &Threshold) -> Vec<Row> {
    let kinds = [
        (AlertKind::Device, "device", shipped.device, Sought::Single),
        (AlertKind::Site, "site", shipped.site, Sought::Several),
    ];
    let of_kind = |(kind, name, shipped, sought): (AlertKind, &str, f64, Sought)| {
        let higher = LADDER.into_iter().filter(move |threshold| *threshold > shipped);
        let name = name.to_owned();
        let thresholds = std::iter::once((shipped, " (shipped)")).chain(higher.map(|one| (one, "")));
        thresholds
            .map(|(threshold, note)| {
                Row::figure(
                    format!(
                        "{name} alerts from {threshold}{note} on, about honest laptops in a device-month"
                    ),
                    wrong(without, kind, threshold),
                )
                .beside(sought.words(), found(with, sought, threshold))
            })
            .collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

fn wrong(runs: &[&Run], kind: AlertKind, threshold: f64) -> Figure {
    let alerts = runs.iter().flat_map(|run| run.alerts.values());
    let raised = alerts.filter(|alert| alert.kind == kind && alert.reaches(threshold)).count();
    rate(raised, runs.iter().map(|run| run.months(run.laptops.len())).sum())
}

fn found(runs: &[&Run], sought: Sought, threshold: f64) -> Figure {
    let counts = runs.iter().map(|run| sought.found(run, threshold));
    let (count, of) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    Figure::Share { count, of }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use farmwatch_collector::store::AlertKind;
    use farmwatch_shared::id::AlertId;

    use super::super::fleet_run::Raised;
    use super::*;

    fn honest(posteriors: &[(AlertKind, f64)]) -> Run {
        let raised = |(number, (kind, posterior)): (usize, &(AlertKind, f64))| {
            let alert = Raised { posterior: Some(*posterior), ..Raised::new(*kind) };
            (AlertId::new(0, number as u128), alert)
        };
        let alerts: BTreeMap<AlertId, Raised> = posteriors.iter().enumerate().map(raised).collect();
        Run {
            seed: 1,
            days: 30,
            always_on_vpn: false,
            base_rate: 1e-4,
            laptops: Vec::new(),
            alerts,
            reports: 0,
            refused: 0,
            seconds: 0.0,
        }
    }

    #[test]
    fn a_higher_threshold_raises_fewer_and_only_of_its_kind() {
        let run = honest(&[(AlertKind::Device, 0.25), (AlertKind::Device, 0.6), (AlertKind::Site, 0.95)]);
        let rows = rows(&[], &[&run], &Threshold { device: 0.25, site: 0.5 });
        let count = |label: &str| {
            let of = rows.iter().find(|row| row.label.starts_with(label)).unwrap();
            // No laptops, so no device-months: only whether there was any can be told.
            of.figure.value().is_infinite()
        };
        assert!(count("device alerts from 0.25 (shipped)") && count("device alerts from 0.5 on"));
        assert!(!count("device alerts from 0.7 on"));
        assert!(count("site alerts from 0.9 on") && !count("site alerts from 0.99 on"));
        assert!(rows.iter().all(|row| !row.label.contains("from 0.1 on")), "nothing is known below");
    }
}
