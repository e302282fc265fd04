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

/// They, watching a fleet. Addresses that IT sanctions are left out, as anybody would.
pub struct Baselines {
    laptops: Vec<Laptop>,
    sanctioned: Vec<IpNet>,
    /// Who came out of an address on its last day.
    at: BTreeMap<String, (i64, BTreeSet<usize>)>,
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
        let (last, here) = self.at.entry(address).or_default();
        if *last != day {
            (*last, *here) = (day, BTreeSet::new());
        }
        here.insert(index);
        if here.len() < 2 {
            return;
        }
        let (all, three) = (here.clone(), here.len() >= 3);
        for other in all {
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
