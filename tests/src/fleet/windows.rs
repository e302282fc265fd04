//! Whose hands are on a laptop, and the five-minute windows that the agent makes of it.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{Source, SourceKind, Window};
use jiff::Timestamp;

use super::dice::Dice;
use super::parameters::{Input, Timing};

/// Whose hands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hands {
    /// Nobody's.
    Nobody,
    /// Its person's.
    Own(Own),
    /// Somebody's through software: no device sends anything.
    Software,
    /// Somebody's through an IP-KVM.
    Kvm {
        /// How its keyboard and mouse are plugged in.
        by: SourceKind,
        /// The pointer is put to places instead of moved.
        absolute: bool,
        /// With a local device's rhythm.
        adapted: bool,
    },
    /// A jiggler, periodic or not.
    Jiggler {
        /// How it is plugged in; `None`: a program.
        by: Option<SourceKind>,
        /// As a metronome.
        periodic: bool,
    },
    /// Its person's, with the keyboard and mouse of another machine on the same desk: no device sends anything here.
    NextDesk,
    /// Somebody's for some seconds.
    Touch,
}

/// What a person types and points with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The laptop's own.
    BuiltIn,
    /// A mouse or keyboard on USB, lid closed.
    Usb,
    /// Its own keyboard and a mouse on USB.
    Mixed,
    /// Its own keyboard and a Bluetooth mouse.
    Bluetooth,
}

/// Some time with one pair of hands.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// First second.
    pub from: i64,
    /// First second after it.
    pub until: i64,
    /// Whose.
    pub hands: Hands,
}

/// The windows of some spans, by a laptop's clock that is `skew` seconds ahead; at most `most`.
pub fn windows(spans: &[Span], dice: Dice, input: &Input, skew: i64, most: usize) -> Vec<Window> {
    let mut rng = dice.rng();
    let mut all: Vec<Window> = Vec::new();
    for span in spans.iter().filter(|span| span.hands != Hands::Nobody) {
        let mut start = (span.from + skew).div_euclid(Window::SECONDS) * Window::SECONDS;
        while start < span.until + skew && all.len() < most {
            let known = all.last().is_some_and(|last| last.start.as_second() >= start);
            if !known && rng.f64() < busy(span.hands) {
                let at = Timestamp::from_second(start).unwrap_or(Timestamp::UNIX_EPOCH);
                all.push(window(at, span.hands, input, &mut rng));
            }
            start += Window::SECONDS;
        }
    }
    all
}

/// Share of windows with any input.
fn busy(hands: Hands) -> f64 {
    match hands {
        Hands::Nobody => 0.0,
        Hands::Own(_) | Hands::NextDesk => 0.75,
        Hands::Software | Hands::Kvm { .. } => 0.8,
        Hands::Jiggler { .. } | Hands::Touch => 1.0,
    }
}

fn window(start: Timestamp, hands: Hands, input: &Input, rng: &mut fastrand::Rng) -> Window {
    let active = rng.u16(30..280);
    let typed = Source { keys: rng.u32(1..60) * 10, pointer: 0, active_seconds: active };
    let pointed = Source { keys: 0, pointer: rng.u32(20..400) * 10, active_seconds: active };
    let both = Source { keys: typed.keys, ..pointed };
    let mut sources = BTreeMap::new();
    let (mut injected_seconds, mut absolute_permille) = (0, 0);
    let mut periodic_permille = rng.u16(0..80);
    let timing = match hands {
        Hands::Nobody => None,
        Hands::Own(own) => {
            match own {
                Own::BuiltIn => drop(sources.insert(SourceKind::BuiltIn, both)),
                Own::Usb => drop(sources.insert(SourceKind::Usb, both)),
                Own::Mixed => sources.extend([(SourceKind::BuiltIn, typed), (SourceKind::Usb, pointed)]),
                Own::Bluetooth => {
                    sources.extend([(SourceKind::BuiltIn, typed), (SourceKind::Bluetooth, pointed)]);
                }
            }
            Some(if own == Own::BuiltIn { &input.touchpad } else { &input.local })
        }
        Hands::Software => {
            injected_seconds = active;
            Some(&input.software)
        }
        Hands::NextDesk => {
            injected_seconds = active;
            Some(&input.software_kvm)
        }
        Hands::Kvm { by, absolute, adapted } => {
            sources.insert(by, both);
            absolute_permille = if absolute { 1000 } else { 0 };
            Some(if adapted { &input.kvm_adapted } else { &input.kvm })
        }
        Hands::Jiggler { by, periodic } => {
            let moved = Source { keys: 0, pointer: 60, active_seconds: 6 };
            match by {
                None => injected_seconds = moved.active_seconds,
                Some(by) => drop(sources.insert(by, moved)),
            }
            periodic_permille = if periodic { rng.u16(950..=1000) } else { rng.u16(100..700) };
            None
        }
        Hands::Touch => {
            let active_seconds = rng.u16(15..90);
            let own = Source { keys: rng.u32(1..9) * 10, pointer: rng.u32(2..20) * 10, active_seconds };
            sources.insert(SourceKind::BuiltIn, own);
            None
        }
    };
    Window {
        start,
        observed_seconds: 50,
        sources,
        injected_seconds,
        absolute_permille,
        periodic_permille,
        pointer_centinats: timing.and_then(|timing| centinats(timing, rng)),
    }
}

fn centinats(timing: &Timing, rng: &mut fastrand::Rng) -> Option<i32> {
    if rng.f64() >= timing.known {
        return None;
    }
    // A sum of twelve is normal enough.
    let normal = (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
    #[allow(clippy::cast_possible_truncation, reason = "some hundreds")]
    let drawn = (timing.mean + timing.sd * normal).round() as i32;
    Some(drawn)
}
