//! Simple rules that are the alternative to a model, on the same reports at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use farmwatch_collector::correlate::anchors::prefix;
use farmwatch_collector::correlate::known::network;
use farmwatch_collector::store::Place;
use farmwatch_shared::facts::{Display, Family as _, RemoteTool, ToolClass, UsbDevice};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::Deserialize as _;

use crate::fleet::{Line, SANCTIONED};

/// How many there are.
pub const KINDS: usize = 4;
/// What they are called.
pub const NAMES: [&str; KINDS] = [
    "three or more devices on one public address",
    "any unsanctioned remote tool",
    "remote tool and shared address",
    "IP-KVM identity only",
];

/// More devices than this come out of an address that day: an office that nobody wrote down, an exit, carrier NAT.
const CROWD: usize = 30;
/// Days on which devices have to share an address: the first may be a hotel, a train, a visit.
const DAYS: u32 = 2;

/// They, watching a fleet, as a security team that has only these rules would set them up: addresses that IT sanctions
/// and crowds' are left out, IPv6 counts by its prefix, and sharing counts from the second day on.
pub struct Baselines {
    laptops: Vec<Laptop>,
    sanctioned: Vec<IpNet>,
    /// Who comes out of an address.
    at: BTreeMap<String, Address>,
}

#[derive(Default)]
struct Address {
    /// The last day, and who came out of it then.
    day: i64,
    here: BTreeSet<usize>,
    /// Earlier days on which there were two, and three, at once.
    days_of_two: u32,
    days_of_three: u32,
}

#[derive(Clone, Default)]
struct Laptop {
    tools: BTreeSet<String>,
    first: [Option<Timestamp>; KINDS],
}

impl Baselines {
    /// For so many laptops.
    pub fn new(laptops: usize, places: &[Place]) -> Self {
        let networks = places.iter().flat_map(|place| &place.networks);
        let sanctioned = networks.filter_map(|text| network(text)).collect();
        Self { laptops: vec![Laptop::default(); laptops], sanctioned, at: BTreeMap::new() }
    }

    /// Sees a report.
    pub fn see(&mut self, index: usize, line: &Line) {
        let now = line.received_at;
        for key in &line.report.gone {
            self.laptops[index].tools.remove(key.as_str());
        }
        for (key, value) in &line.report.set {
            if key.family() == RemoteTool::NAME {
                let lets_in =
                    RemoteTool::deserialize(value).is_ok_and(|tool| tool.running() && lets_in(tool.class));
                let tools = &mut self.laptops[index].tools;
                if lets_in && !SANCTIONED.contains(&key.name()) {
                    tools.insert(key.as_str().to_owned());
                } else {
                    tools.remove(key.as_str());
                }
            }
            let traits = match key.family() {
                UsbDevice::NAME => {
                    UsbDevice::deserialize(value).map(|device| device.traits).unwrap_or_default()
                }
                Display::NAME => {
                    let display = Display::deserialize(value).ok();
                    display.and_then(|display| display.edid).map(|edid| edid.traits).unwrap_or_default()
                }
                _ => Vec::new(),
            };
            if traits.iter().any(|held| held.starts_with("known_kvm:")) {
                self.name(index, 3, now);
            }
        }
        let has_tool = !self.laptops[index].tools.is_empty();
        if has_tool {
            self.name(index, 1, now);
        }
        self.share(index, line.source_ip, now);
    }

    /// When each of them first named a laptop.
    pub fn first(&self, index: usize) -> [Option<Timestamp>; KINDS] {
        self.laptops[index].first
    }

    fn share(&mut self, index: usize, address: IpAddr, now: Timestamp) {
        if self.sanctioned.iter().any(|network| network.contains(&address)) {
            return;
        }
        let Some(address) = prefix(address) else { return };
        let day = now.as_second().div_euclid(86_400);
        let at = self.at.entry(address).or_default();
        if at.day != day {
            let crowd = at.here.len() > CROWD;
            at.days_of_two += u32::from(at.here.len() >= 2 && !crowd);
            at.days_of_three += u32::from(at.here.len() >= 3 && !crowd);
            (at.day, at.here) = (day, BTreeSet::new());
        }
        at.here.insert(index);
        if at.here.len() > CROWD {
            return;
        }
        let two = at.here.len() >= 2 && at.days_of_two + 1 >= DAYS;
        let three = at.here.len() >= 3 && at.days_of_three + 1 >= DAYS;
        for other in if two { at.here.clone() } else { BTreeSet::new() } {
            if three {
                self.name(other, 0, now);
            }
            if !self.laptops[other].tools.is_empty() {
                self.name(other, 2, now);
            }
        }
    }

    fn name(&mut self, index: usize, kind: usize, now: Timestamp) {
        self.laptops[index].first[kind].get_or_insert(now);
    }
}

fn lets_in(class: ToolClass) -> bool {
    use ToolClass as C;
    let remote = [C::Rmm, C::RemoteDesktop, C::BrowserRemote, C::Streaming, C::IdeTunnel, C::SharedTerminal];
    remote.contains(&class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_at_home_are_named_on_the_second_day_and_a_crowd_never() {
        let mut baselines = Baselines::new(50, &[]);
        let at = |day: i64| Timestamp::from_second(day * 86_400 + 40_000).unwrap();
        let home: IpAddr = "203.0.113.7".parse().unwrap();
        let exit: IpAddr = "203.0.113.8".parse().unwrap();
        for day in 0..2 {
            (0..3).for_each(|index| baselines.share(index, home, at(day)));
            // Counted day by day: a crowd that is still gathering was one yesterday.
            (10..50).for_each(|index| baselines.share(index, exit, at(day)));
            assert_eq!(baselines.first(0)[0].is_some(), day == 1);
        }
        assert!((0..3).all(|index| baselines.first(index)[0] == Some(at(1))));
        assert!((10..50).all(|index| baselines.first(index)[0].is_none()));
    }
}
