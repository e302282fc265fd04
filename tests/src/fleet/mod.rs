//! A simulated fleet: laptops, their people and places, and the reports that their agents would send, as the
//! NDJSON that `farmwatch-collector replay` reads.
//!
//! Deterministic by seed. It knows nothing of the judge: it simulates what stands where and who touches it,
//! and says which laptops stand in a farm ([`Fleet::labels`]).

mod device;
mod place;
mod week;

use std::collections::BTreeMap;

use farmwatch_shared::id::{DeviceId, HashKey};
use farmwatch_shared::report::Report;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use device::Laptop;
use place::Places;

/// The parameters that the quickstart shows.
pub const SMALL: &str = include_str!("fleet.toml");

/// What a fleet is made of; see `fleet.toml` for the meaning of each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Lone home workers.
    pub homes: u32,
    /// Office workers.
    pub office: u32,
    /// Pairs of employees in one home.
    pub couples: u32,
    /// Homes of three employees.
    pub flats_of_three: u32,
    /// Share of home workers who also come to the office.
    pub hybrid: f64,
    /// Share with a remote tool left over.
    pub leftover_tool: f64,
    /// Share docked almost always.
    pub docked: f64,
    /// Share with a private VPN.
    pub personal_vpn: f64,
    /// Share of days on a trip.
    pub trips: f64,
    /// Farms.
    #[serde(default)]
    pub farm: Vec<Farm>,
}

/// One farm.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Farm {
    /// How many of our laptops.
    pub laptops: u32,
    /// How they are operated.
    pub style: Style,
    /// Days over which they arrive.
    pub joined: u32,
}

/// How a farm's laptops are operated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Remote-access software.
    Software,
    /// An IP-KVM.
    Kvm,
    /// Both.
    Both,
}

/// A line as `replay` reads it.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// When the collector would have received it.
    pub received_at: Timestamp,
    /// Public address it would have come from.
    pub source_ip: std::net::IpAddr,
    /// The report.
    pub report: Report,
}

/// A fleet, ready to live.
pub struct Fleet {
    start: Timestamp,
    days: u32,
    places: Places,
    laptops: Vec<Laptop>,
}

impl Fleet {
    /// Builds a fleet that lives for `days` whole days up to `until`.
    pub fn new(parameters: &Parameters, seed: u64, days: u32, until: Timestamp) -> Self {
        let midnight = until.as_second().div_euclid(86_400) * 86_400;
        let start = Timestamp::from_second(midnight).unwrap_or(until);
        let start = start - SignedDuration::from_hours(24 * i64::from(days));
        let key = HashKey::new([0x5a; 32]);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut places = Places::new(key);
        let laptops = device::people(parameters, &mut places, &mut rng, start);
        Self { start, days, places, laptops }
    }

    /// Which laptops stand in which farm, by number from 1.
    pub fn labels(&self) -> BTreeMap<DeviceId, u32> {
        self.laptops.iter().filter_map(|l| Some((l.id.clone(), l.farm?))).collect()
    }

    /// All laptops' ids.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.laptops.iter().map(|laptop| &laptop.id)
    }

    /// The places that IT would sanction, in the form of `replay --places`.
    pub fn sanctioned(&self) -> String {
        self.places.sanctioned()
    }

    /// The asset list that IT would import, as CSV.
    pub fn assets(&self) -> String {
        let mut csv = String::from("serial,user,department,shipped_to,expected_country\n");
        for laptop in &self.laptops {
            csv.push_str(&laptop.asset_line());
        }
        csv
    }

    /// How many lines [`Fleet::live`] will give, about: for progress.
    pub fn expected_lines(&self) -> u64 {
        self.laptops.len() as u64 * u64::from(self.days) * 9
    }

    /// Lives: hands each line to `out` in order of time. Only one hour is held in memory.
    pub fn live<E>(mut self, mut out: impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
        for hour in 0..self.days * 24 {
            let at = self.start + SignedDuration::from_hours(i64::from(hour));
            let mut lines = Vec::new();
            for laptop in &mut self.laptops {
                week::hour(laptop, &self.places, at, &mut lines);
            }
            lines.sort_by(|a, b| (a.received_at, &a.report.device).cmp(&(b.received_at, &b.report.device)));
            for line in lines {
                out(line)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(seed: u64) -> Vec<Line> {
        let until = "2026-11-20T00:00:00Z".parse().unwrap();
        let mut lines = Vec::new();
        let parameters = toml::from_str(SMALL).unwrap();
        Fleet::new(&parameters, seed, 3, until)
            .live(|line| {
                lines.push(line);
                Ok::<_, std::convert::Infallible>(())
            })
            .unwrap();
        lines
    }

    #[test]
    fn one_seed_gives_one_fleet() {
        let text = |lines: Vec<Line>| serde_json::to_string(&lines).unwrap();
        let first = text(lines(1));
        assert_eq!(first, text(lines(1)));
        assert_ne!(first, text(lines(2)));
    }

    #[test]
    fn each_laptops_reports_come_in_order_and_say_their_digest() {
        let mut states: BTreeMap<DeviceId, (u64, farmwatch_shared::state::State)> = BTreeMap::new();
        let mut last = Timestamp::MIN;
        for line in lines(7) {
            assert!(line.received_at >= last);
            last = line.received_at;
            let (seq, state) = states.entry(line.report.device.clone()).or_default();
            assert_eq!(line.report.seq, *seq + 1);
            *seq += 1;
            state.apply(farmwatch_shared::state::Delta {
                set: line.report.set.clone(),
                gone: line.report.gone.clone(),
            });
            assert_eq!(state.digest(), line.report.digest);
        }
        assert!(states.len() > 250);
    }

    #[test]
    fn no_laptop_reports_more_than_thirty_times_a_day() {
        let mut count: BTreeMap<DeviceId, u32> = BTreeMap::new();
        lines(3).into_iter().for_each(|line| *count.entry(line.report.device).or_default() += 1);
        assert!(count.values().all(|n| *n <= 30 * 3));
    }
}
