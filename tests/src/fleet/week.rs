//! An hour in a laptop's life: where it is, whose hands are on it, what its agent says.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{LinkKind, Network, Source, SourceKind, Transition, TransitionKind, Window};
use farmwatch_shared::report::{Report, VERSION};
use farmwatch_shared::state::{Delta, FactKey, State};
use jiff::{SignedDuration, Timestamp};

use super::device::Laptop;
use super::place::{PlaceId, Places};
use super::{Line, Style};

/// Lives one hour and appends what the agent sends in it.
pub fn hour(laptop: &mut Laptop, places: &Places, at: Timestamp, out: &mut Vec<Line>) {
    if at < laptop.from {
        return;
    }
    let (day, hour) = (at.as_second().div_euclid(86_400), at.as_second().rem_euclid(86_400) / 3600);
    // 1970-01-01 was a Thursday.
    let weekend = matches!((day + 3).rem_euclid(7), 5 | 6);
    if hour == 7 && laptop.farm.is_none() {
        laptop.vpn_on = laptop.vpn && laptop.rng.f64() < 0.3;
        let place = choose_place(laptop, weekend);
        move_to(laptop, places, place);
    }
    let first = laptop.seq == 0;
    if first {
        let home = laptop.home;
        move_to(laptop, places, home);
    }
    let working = (8..18).contains(&hour) && !weekend;
    if !first && !working && hour % 6 != 0 {
        return;
    }
    let windows = if working { work(laptop, at) } else { Vec::new() };
    let minute = laptop.rng.i64(0..60);
    let said_at = at + SignedDuration::from_mins(59) + SignedDuration::from_secs(minute);
    let moved = laptop.state != laptop.next && !first;
    let transitions = if moved {
        vec![Transition { at: at + SignedDuration::from_secs(minute), kind: TransitionKind::NetworkRegained }]
    } else {
        Vec::new()
    };
    out.push(line(laptop, places, said_at, windows, transitions));
}

fn choose_place(laptop: &mut Laptop, weekend: bool) -> PlaceId {
    if laptop.rng.f64() < laptop.trips {
        return laptop.hotels[laptop.rng.usize(..laptop.hotels.len())];
    }
    match laptop.office {
        Some(office) if !weekend && laptop.rng.f64() < 0.5 => office,
        _ => laptop.home,
    }
}

fn move_to(laptop: &mut Laptop, places: &Places, place: PlaceId) {
    laptop.at = place;
    let level_2 = laptop.farm.is_some();
    laptop.next.put("wlan0", &places.network(place, level_2));
    if laptop.vpn_on {
        laptop.next.put("tun0", &Network { kind: LinkKind::Vpn, default_route: true, ..Network::default() });
    } else {
        laptop.next.remove(&FactKey::of::<Network>("tun0"));
    }
}

/// Twelve windows of an hour at work.
fn work(laptop: &mut Laptop, at: Timestamp) -> Vec<Window> {
    (0..12)
        .filter_map(|n| {
            if laptop.rng.f64() < 0.25 {
                return None;
            }
            let start = at + SignedDuration::from_secs(n * Window::SECONDS);
            Some(window(laptop, start))
        })
        .collect()
}

fn window(laptop: &mut Laptop, start: Timestamp) -> Window {
    let active = laptop.rng.u16(30..280);
    let keys = laptop.rng.u32(0..60) * 10;
    let pointer = laptop.rng.u32(20..400) * 10;
    let source = Source { keys, pointer, active_seconds: active };
    let mut sources = BTreeMap::new();
    let (mut injected_seconds, mut absolute_permille) = (0, 0);
    match laptop.style {
        Some(Style::Software) => injected_seconds = active,
        Some(Style::Kvm | Style::Both) => {
            sources.insert(SourceKind::Usb, source);
            absolute_permille = 1000;
        }
        None if laptop.docked => {
            sources.insert(SourceKind::Usb, source);
        }
        None => {
            sources.insert(SourceKind::BuiltIn, source);
        }
    }
    Window {
        start,
        observed_seconds: 50,
        sources,
        injected_seconds,
        absolute_permille,
        periodic_permille: laptop.rng.u16(0..80),
        pointer_centinats: None,
    }
}

fn line(
    laptop: &mut Laptop,
    places: &Places,
    at: Timestamp,
    windows: Vec<Window>,
    transitions: Vec<Transition>,
) -> Line {
    let first = laptop.seq == 0;
    laptop.seq += 1;
    let delta = if first { State::default().delta(&laptop.next) } else { laptop.state.delta(&laptop.next) };
    let Delta { set, gone } = delta;
    laptop.state = laptop.next.clone();
    let report = Report {
        v: VERSION,
        device: laptop.id.clone(),
        boot: "5eed5eed".into(),
        seq: laptop.seq,
        at,
        machine: String::new(),
        digest: laptop.state.digest(),
        whole: first,
        set,
        gone,
        windows,
        transitions,
        dropped_windows: 0,
        other: serde_json::Map::new(),
    };
    let seen_from = if laptop.vpn_on { laptop.vpn_exit } else { laptop.at };
    Line { received_at: at, source_ip: places.address(seen_from), report }
}
