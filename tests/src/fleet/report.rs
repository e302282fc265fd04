//! From a moment to the line that `replay` reads.

use std::net::IpAddr;

use farmwatch_shared::facts::Transition;
use farmwatch_shared::report::{Report, VERSION};
use jiff::Timestamp;
use serde::Serialize;

use super::facts;
use super::laptop::{Laptop, Trait};
use super::moments::Moment;
use super::networks::Observed;
use super::windows;
use super::world::{DAY, World};

/// Most windows in one report: eight hours without a gap.
const WINDOWS: usize = 96;

/// A line as `replay` reads it.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// When the collector would have received it.
    pub received_at: Timestamp,
    /// Public address it would have come from.
    pub source_ip: IpAddr,
    /// The report.
    pub report: Report,
    /// What the collector would have seen of the connection.
    pub observed: Observed,
}

/// The report of a moment; the laptop has told it then.
pub fn line(world: &World, laptop: &mut Laptop, moment: &Moment) -> Line {
    let skew = skew(world, laptop);
    let by_its_clock = |second: i64| Timestamp::from_second(second + skew).unwrap_or(world.start);
    let (delta, digest) = facts::change(world, laptop, &moment.now);
    let whole = laptop.told.situation.is_none();
    laptop.told.seq += 1;
    let dice = world.dice.of("report").at(laptop.number).at(laptop.told.seq);
    let mut spans = moment.spans.clone();
    if moment.now.blind {
        spans.clear();
    }
    let transitions =
        moment.changes.iter().map(|(at, kind)| Transition { at: by_its_clock(*at), kind: *kind });
    let boot = world.dice.of("boot").at(laptop.number).day(moment.now.booted).number();
    let machine = world.key.hash("machine", &laptop.serial());
    let report = Report {
        v: VERSION,
        device: laptop.id(world.start),
        boot: format!("{:08x}", boot >> 32),
        seq: laptop.told.seq,
        at: by_its_clock(moment.at),
        machine: machine.as_str()[..8].to_owned(),
        digest,
        whole,
        set: delta.set,
        gone: delta.gone,
        windows: windows::windows(&spans, dice, &world.parameters.input, skew, WINDOWS),
        transitions: transitions.collect(),
        dropped_windows: 0,
        other: serde_json::Map::new(),
    };
    let told = &mut laptop.told;
    (told.situation, told.digest, told.awake) = (Some(moment.now), digest, moment.awake);
    told.link = moment.now.link.or(told.link);
    let day = i32::try_from((moment.received - world.start.as_second()).div_euclid(DAY)).unwrap_or(0);
    let (via, vpn) = (&moment.via, moment.now.vpn);
    Line {
        received_at: Timestamp::from_second(moment.received).unwrap_or(world.start),
        source_ip: world.address(via, vpn, laptop.number, day),
        report,
        observed: world.observed(via, vpn, laptop.number, moment.received),
    }
}

/// Seconds that a laptop's clock is ahead.
fn skew(world: &World, laptop: &Laptop) -> i64 {
    let dice = world.dice.of("clock").at(laptop.number);
    if laptop.life.traits.has(Trait::ClockFar) {
        return DAY
            * dice.between(60, 400)
            * if dice.of("slow").chance(world.parameters.agents.clock_slow) { -1 } else { 1 };
    }
    if laptop.life.traits.has(Trait::ClockOff) {
        return dice.between(-3000, 3000);
    }
    dice.between(-1, 1)
}
