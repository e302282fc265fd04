//! From a situation to an agent's facts, part by part: what did not change is not computed.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{
    Host, LinkKind, Locale, Network, Power, SENSORS, SensorState, SensorStatus, Session, SessionKind,
};
use farmwatch_shared::state::{Delta, Digest, State};
use jiff::Timestamp;

use super::laptop::{Group, Laptop};
use super::situation::Situation;
use super::things::Things;
use super::tools;
use super::world::World;

/// A part of the facts: whether it differs between two situations, and what it is in one.
struct Part {
    differs: fn(&Situation, &Situation) -> bool,
    put: fn(&World, &Laptop, &Situation, &mut State),
}

const PARTS: [Part; 7] = [
    Part { differs: |a, b| a.booted != b.booted, put: host },
    Part { differs: |a, b| a.link != b.link || a.vpn != b.vpn, put: network },
    Part { differs: |a, b| a.desk != b.desk || a.lid_closed != b.lid_closed, put: desk },
    Part {
        differs: |a, b| a.tools != b.tools || a.booted != b.booted || a.says_more() != b.says_more(),
        put: programs,
    },
    Part {
        differs: |a, b| (a.mains, a.lid_closed, a.never_sleeps) != (b.mains, b.lid_closed, b.never_sleeps),
        put: power,
    },
    Part { differs: |a, b| (a.locked, a.remote_session) != (b.locked, b.remote_session), put: sessions },
    Part { differs: |a, b| a.blind != b.blind, put: steady },
];

/// What leads from what was told to what is the case, and the digest after it.
pub fn change(world: &World, laptop: &Laptop, now: &Situation) -> (Delta, Digest) {
    let mut all = Delta::default();
    let mut digest = laptop.told.digest;
    for part in &PARTS {
        let mut next = State::default();
        let mut before = State::default();
        match &laptop.told.situation {
            Some(told) if !(part.differs)(told, now) => continue,
            Some(told) => (part.put)(world, laptop, told, &mut before),
            None => {}
        }
        (part.put)(world, laptop, now, &mut next);
        digest = digest.minus(before.digest()).plus(next.digest());
        let Delta { set, gone } = before.delta(&next);
        all.set.extend(set);
        all.gone.extend(gone);
    }
    (all, digest)
}

const MODELS: [(&str, &str); 4] = [
    ("LENOVO", "ThinkPad T14 Gen 4"),
    ("Dell Inc.", "Latitude 5450"),
    ("HP", "EliteBook 840 G10"),
    ("Apple Inc.", "MacBookPro18,3"),
];

fn host(world: &World, laptop: &Laptop, now: &Situation, state: &mut State) {
    let is_virtual = is_virtual(laptop);
    let model = world.dice.of("model").at(laptop.number).pick(&MODELS);
    let (vendor, model) = if is_virtual { ("Microsoft Corporation", "Virtual Machine") } else { model };
    let (os, os_version) = match vendor {
        "Apple Inc." => ("macos", "macOS 15.6"),
        _ if !is_virtual && laptop.number.is_multiple_of(3) => ("linux", "Ubuntu 24.04"),
        _ => ("windows", "Windows 11 24H2"),
    };
    let host = Host {
        os: os.into(),
        os_version: os_version.into(),
        hostname: format!("lt-{:04}", laptop.number + 1),
        vendor: Some(vendor.into()),
        model: Some(model.into()),
        serial: Some(laptop.serial()),
        chassis: Some(if is_virtual { "desktop" } else { "laptop" }.into()),
        hypervisor: is_virtual.then(|| "hyperv".into()),
        boot_time: Some(started(world, now)),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        managed_by: BTreeMap::new(),
    };
    state.put("self", &host);
}

/// When it was started.
fn started(world: &World, now: &Situation) -> Timestamp {
    Timestamp::from_second(world.day_start(now.booted) + 27_000).unwrap_or(world.start)
}

fn network(world: &World, laptop: &Laptop, now: &Situation, state: &mut State) {
    let Some(link) = &now.link else { return };
    let name = if link.medium == super::situation::Medium::Cable { "eth0" } else { "wlan0" };
    state.put(name, &world.network(link, laptop.number));
    if now.vpn.company || (now.vpn.private > 0 && !now.vpn.in_router) {
        state.put("tun0", &Network { kind: LinkKind::Vpn, default_route: true, ..Network::default() });
    }
    if now.vpn.overlay {
        state.put("tailscale0", &Network { kind: LinkKind::Overlay, ..Network::default() });
    }
}

/// A virtual desktop.
fn is_virtual(laptop: &Laptop) -> bool {
    laptop.life.group == Group::DataCentre
}

fn desk(world: &World, laptop: &Laptop, now: &Situation, state: &mut State) {
    if is_virtual(laptop) {
        return Things::put_virtual(state);
    }
    world.things.put(state, &now.desk, now.lid_closed, laptop.number);
}

fn programs(world: &World, _: &Laptop, now: &Situation, state: &mut State) {
    tools::put(state, &now.tools, started(world, now), now.says_more(), &world.key);
}

fn power(_: &World, laptop: &Laptop, now: &Situation, state: &mut State) {
    let battery = !is_virtual(laptop);
    let power = Power {
        mains: Some(now.mains),
        battery,
        lid_closed: battery.then_some(now.lid_closed),
        never_sleeps: Some(now.never_sleeps),
        keep_awake: Vec::new(),
    };
    state.put("self", &power);
}

fn sessions(_: &World, _: &Laptop, now: &Situation, state: &mut State) {
    state.put("c1", &Session { active: true, locked: Some(now.locked), ..Session::default() });
    if now.remote_session {
        let session = Session { kind: SessionKind::Rdp, remote: true, active: true, locked: Some(false) };
        state.put("c2", &session);
    }
}

fn steady(world: &World, laptop: &Laptop, now: &Situation, state: &mut State) {
    let zone = world.region(laptop.life.region).zone.clone();
    state.put("self", &Locale { time_zone: Some(zone), ..Locale::default() });
    for sensor in SENSORS {
        let blind = now.blind && sensor == "activity";
        let status = if blind {
            SensorStatus::new(SensorState::Blind, "no input device can be read")
        } else {
            SensorStatus::ok()
        };
        state.put(sensor, &status);
    }
}
