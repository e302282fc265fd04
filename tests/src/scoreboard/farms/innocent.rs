//! Honest laptops in fleets that have farms: swept into a farm's site, or into one of their own.

use farmwatch_collector::store::AlertKind;

use super::fleet_run::{Judged, Run};
use super::honest::twins;
use crate::scoreboard::row::{Figure, Row};

/// Shares of honest laptops that are named, and that quarantine would cut off.
pub fn rows(runs: &[&Run]) -> Vec<Row> {
    let honest = |laptop: &Judged| laptop.label.farm.is_none();
    let of_farms = |laptop: &Judged| laptop.label.farm.is_some();
    vec![
        share(runs, "honest laptops that a site's or a device's alert names", honest, |run, index| {
            run.named(AlertKind::Site, index) || run.named(AlertKind::Device, index)
        })
        .notes(who(runs)),
        share(
            runs,
            "honest laptops that quarantine would cut off, at its threshold",
            honest,
            |run, index| run.laptops[index].cut_off,
        )
        .at_most(0.0),
        share(runs, "   beside: farm laptops that it would cut off", of_farms, |run, index| {
            run.laptops[index].cut_off
        }),
    ]
}

fn share(
    runs: &[&Run],
    label: &str,
    which: impl Fn(&Judged) -> bool,
    hit: impl Fn(&Run, usize) -> bool,
) -> Row {
    let (mut count, mut of) = (0, 0);
    for run in runs {
        for (index, _) in run.laptops.iter().enumerate().filter(|(_, laptop)| which(laptop)) {
            of += 1;
            count += usize::from(hit(run, index));
        }
    }
    Row::figure(label, Figure::Share { count, of })
}

/// A line for each honest laptop that is named: by what, beside whom, and how likely it was said to be operated.
fn who(runs: &[&Run]) -> Vec<String> {
    let mut lines = Vec::new();
    for run in runs {
        let alerts = run.alerts.values().filter(|alert| alert.kind != AlertKind::Policy);
        for alert in alerts {
            let in_farms =
                alert.laptops.keys().filter(|index| run.laptops[**index].label.farm.is_some()).count();
            for laptop in alert.laptops.keys().map(|index| &run.laptops[*index]) {
                if laptop.label.farm.is_none() {
                    lines.push(format!(
                        "seed {}: by a {:?} alert beside {in_farms} farm laptops, P {:.3} at the end{}: {}",
                        run.seed,
                        alert.kind,
                        laptop.posterior,
                        if laptop.cut_off { ", cut off" } else { "" },
                        twins(&laptop.label).join(", ")
                    ));
                }
            }
        }
    }
    lines
}
