//! Many fleets, some at a time.

use std::sync::Mutex;

use farmwatch_shared::weights::Weights;
use indicatif::ProgressBar;

use super::fleet_run::{self, Order, Run};
use super::{Options, Scale};
use crate::fleet::{Parameters, TEST};

/// The fleets of a measurement: for each seed one with farms and one without.
///
/// Half of all companies send everything through a VPN: every other seed, so that few seeds have both.
pub fn orders(options: &Options, scale: Option<&Scale>, weights: &Weights) -> anyhow::Result<Vec<Order>> {
    let mut orders = Vec::new();
    for seed in options.first_seed..options.first_seed + u64::from(options.seeds) {
        for with_farms in [true, false] {
            let scale = scale.map(|(name, by)| (name.as_str(), *by));
            let mut parameters = Parameters::scaled(TEST, scale)?;
            if with_farms {
                parameters.fleet.laptops = options.devices;
                // A farm for each twenty laptops: a quarter of the fleet or so stands in them.
                parameters.farms.drawn = parameters.farms.drawn.min(options.devices / 20);
            } else {
                parameters.fleet.laptops = options.honest;
                parameters.farms.drawn = 0;
                // One of each twin, however rare: that nobody is named says nothing where nobody is.
                parameters.fleet.at_least = 1;
            }
            parameters.fleet.always_on_vpn = if seed % 2 == 0 { 1.0 } else { 0.0 };
            orders.push(Order { parameters, weights: weights.clone(), seed, days: options.days });
        }
    }
    Ok(orders)
}

/// Lives them; the runs come in the order of their orders.
pub fn live(orders: Vec<Order>, threads: usize) -> anyhow::Result<Vec<Run>> {
    live_each(orders, threads, |run| run)
}

/// Lives them and keeps of each what `keep` makes of it, so that hundreds of fleets fit.
pub fn live_each<T: Send>(
    orders: Vec<Order>,
    threads: usize,
    keep: impl Fn(Run) -> T + Sync,
) -> anyhow::Result<Vec<T>> {
    let progress = ProgressBar::new(orders.len() as u64).with_message("fleets");
    progress.tick();
    let mut numbered: Vec<(usize, Order)> = orders.into_iter().enumerate().collect();
    // Taken from the end; those with farms are the longer ones and go first.
    numbered.sort_by_key(|(_, order)| order.parameters.farms.drawn);
    let waiting = Mutex::new(numbered);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().ok().and_then(|mut orders| orders.pop());
                    let Some((number, order)) = next else { break };
                    let run = fleet_run::live(order).map(&keep);
                    if let Ok(mut done) = done.lock() {
                        done.push((number, run));
                    }
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut done = done.into_inner().map_err(|_| anyhow::anyhow!("a fleet's run panicked"))?;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, run)| run).collect()
}
