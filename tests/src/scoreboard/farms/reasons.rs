//! Why a farm was missed and why an honest laptop was named: for whoever improves the model.

use std::io::Write;

use farmwatch_collector::store::AlertKind;
use farmwatch_shared::waterfall::Bar;
use serde::Serialize;

use super::fleet_run::{Judged, Run};
use super::found;
use crate::fleet::{Label, Shape};

/// A line: a farm that no alert found, or an alert that names honest laptops.
#[derive(Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Reason<'a> {
    MissedFarm {
        seed: u64,
        always_on_vpn: bool,
        shape: Shape,
        laptops: Vec<Seen<'a>>,
    },
    FalseAlert {
        seed: u64,
        always_on_vpn: bool,
        kind: AlertKind,
        posterior: Option<f64>,
        bars: &'a [Bar],
        laptops: Vec<&'a Label>,
    },
}

/// What was made of a laptop by the end.
#[derive(Serialize)]
struct Seen<'a> {
    label: &'a Label,
    posterior: f64,
    bars: &'a [Bar],
    site: Option<f64>,
    site_bars: &'a [Bar],
}

/// Writes them as NDJSON.
pub fn write(runs: &[Run], mut out: impl Write) -> anyhow::Result<()> {
    for reason in runs.iter().flat_map(reasons) {
        serde_json::to_writer(&mut out, &reason)?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

fn reasons(run: &Run) -> Vec<Reason<'_>> {
    let (seed, always_on_vpn) = (run.seed, run.always_on_vpn);
    let missed = found::missed(run).into_iter().map(|(shape, laptops)| Reason::MissedFarm {
        seed,
        always_on_vpn,
        shape,
        laptops: laptops.into_iter().map(|index| seen(&run.laptops[index])).collect(),
    });
    // In fleets with farms an alert may be about one of them and a neighbour, who is named wrongly.
    let of_others = run
        .alerts
        .values()
        .filter(|alert| alert.kind != AlertKind::Policy)
        .filter(|alert| alert.laptops.keys().any(|index| run.laptops[*index].label.farm.is_none()));
    let wrong = of_others.map(|alert| Reason::FalseAlert {
        seed,
        always_on_vpn,
        kind: alert.kind,
        posterior: alert.posterior,
        bars: &alert.bars,
        laptops: alert.laptops.keys().map(|index| &run.laptops[*index].label).collect(),
    });
    missed.chain(wrong).collect()
}

fn seen(laptop: &Judged) -> Seen<'_> {
    let Judged { label, posterior, bars, site, .. } = laptop;
    let (site, site_bars) =
        site.as_ref().map_or((None, &[][..]), |(farm, bars)| (Some(*farm), bars.as_slice()));
    Seen { label, posterior: *posterior, bars, site, site_bars }
}
