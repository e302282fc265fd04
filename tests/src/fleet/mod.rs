//! A simulated fleet: laptops, their people and places, and the reports that their agents would send, as the
//! NDJSON that `farmwatch-collector replay` reads.
//!
//! It knows nothing of the judge: it simulates what stands where and who touches it, and says beside what is true
//! ([`Fleet::labels`]). Deterministic by seed: a laptop's day is computed from the seed, the laptop and the day
//! ([`dice`]), so nothing is held in memory but who lives how and what each laptop told last, and a fleet of a
//! hundred thousand streams.
//!
//! One file a concern: who there is (`people`), how they live (`agenda`, `twins`, `farms`), where (`places`,
//! `networks`, `outages`), what is plugged in and runs (`things`, `tools`), whose hands (`windows`), and what an
//! agent makes of it (`situation`, `facts`, `moments`, `report`). Rates stand in `rates.toml`.

mod agenda;
mod dice;
mod facts;
mod farms;
mod labels;
mod laptop;
mod moments;
mod networks;
mod outages;
mod parameters;
mod people;
mod places;
mod report;
mod situation;
#[cfg(test)]
mod tests;
mod things;
pub mod told;
mod tools;
mod twins;
mod windows;
mod world;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use farmwatch_shared::id::DeviceId;
use jiff::{SignedDuration, Timestamp};

pub use farms::Ways;
pub use labels::{AssetLine, Label, Shape, is_plain};
pub use laptop::{Group, Trait};
pub use parameters::{CALIBRATION, Care, Farm, Parameters, SMALL, Style, TEST, TWINS};
pub use report::Line;
pub use tools::SANCTIONED;

use laptop::Laptop;
use world::{DAY, World};

/// A fleet, ready to live.
pub struct Fleet {
    world: World,
    laptops: Vec<Laptop>,
}

impl Fleet {
    /// A fleet that lives for `days` whole days up to `until`.
    pub fn new(parameters: Parameters, seed: u64, days: u32, until: Timestamp) -> anyhow::Result<Self> {
        let midnight = Timestamp::from_second(until.as_second().div_euclid(DAY) * DAY)?;
        let start = midnight - SignedDuration::from_hours(24 * i64::from(days));
        let world = World::new(parameters, seed, days, start)?;
        let laptops = people::settle(&world);
        Ok(Self { world, laptops })
    }

    /// What is true of each laptop.
    pub fn labels(&self) -> impl Iterator<Item = Label> {
        self.laptops.iter().map(|laptop| labels::label(&self.world, laptop))
    }

    /// All laptops' ids.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        self.laptops.iter().map(|laptop| laptop.id(self.world.start))
    }

    /// The places that IT would sanction, in the form of `replay --places`.
    pub fn sanctioned(&self) -> String {
        labels::sanctioned(&self.world)
    }

    /// The asset list that IT would import, of the first day: who had a laptop before it was set up anew still has it.
    pub fn asset_lines(&self) -> impl Iterator<Item = AssetLine> {
        let first = self.laptops.iter().filter(|laptop| laptop.life.hardware.is_none());
        first.map(|laptop| labels::asset(&self.world, laptop))
    }

    /// The asset list as CSV.
    pub fn assets(&self) -> String {
        let header = "serial,user,department,shipped_to,expected_country\n".to_owned();
        self.asset_lines().fold(header, |csv, line| csv + &line.csv())
    }

    /// Whether all of its traffic goes through the company's VPN.
    pub fn is_always_on_vpn(&self) -> bool {
        self.world.always_on_vpn
    }

    /// How many lines [`Fleet::live`] will give, about: for progress.
    pub fn expected_lines(&self) -> u64 {
        let days = u64::from(self.world.days.unsigned_abs());
        self.laptops.len() as u64 * days * 9
    }

    /// Lives: hands each line to `out` in order of time.
    pub fn live<E>(self, mut out: impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
        let Self { world, mut laptops } = self;
        let end = world.day_start(world.days);
        let mut queue = BinaryHeap::new();
        for (index, laptop) in laptops.iter_mut().enumerate() {
            let first = later(&world, laptop, -1, 0);
            queue.extend(first.map(|at| Reverse((at, index))));
        }
        while let Some(Reverse((at, index))) = queue.pop() {
            if at >= end {
                continue;
            }
            let laptop = &mut laptops[index];
            let (day, next) = (laptop.told.day, laptop.told.next);
            let moments = moments::of_day(&world, laptop, day);
            if let Some(moment) = moments.get(next) {
                out(report::line(&world, laptop, moment))?;
            }
            laptop.told.next += 1;
            let same_day = moments.get(next + 1).map(|moment| moment.received);
            let then = same_day.or_else(|| later(&world, laptop, day, at));
            queue.extend(then.map(|then| Reverse((then.max(at), index))));
        }
        Ok(())
    }
}

/// The first moment after a day and not before a second, which the laptop is set to.
fn later(world: &World, laptop: &mut Laptop, day: i32, at: i64) -> Option<i64> {
    let at = at.max(world.start.as_second());
    for day in day + 1..world.days {
        let moments = moments::of_day(world, laptop, day);
        if let Some(next) = moments.iter().position(|moment| moment.received >= at) {
            (laptop.told.day, laptop.told.next) = (day, next);
            return Some(moments[next].received);
        }
    }
    None
}
