//! When each laptop of a place was worked on: what [`super::one_pair`] and [`super::round_of_hands`] compare.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::facts::{SourceKind, Window};

/// A window with fewer active seconds is a jiggler's, or a nudge.
const WORK_SECONDS: u16 = 30;
/// A window with fewer seconds of the laptop's own keyboard is a brush.
const TOUCH_SECONDS: u16 = 5;

/// Five-minute windows of one day, counted from 1970.
pub type Windows = BTreeSet<i64>;

/// A laptop's days.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    /// Windows in which somebody worked, by day.
    pub work: BTreeMap<i64, Windows>,
    /// Windows with input of the laptop's own keyboard or touchpad, by day.
    pub own: BTreeMap<i64, Windows>,
}

impl Rhythm {
    /// From activity windows.
    pub fn of(windows: &[Window]) -> Self {
        let mut rhythm = Self::default();
        for window in windows {
            let (day, number) =
                (window.start.as_second().div_euclid(86_400), window.start.as_second() / Window::SECONDS);
            if window.active_seconds() >= WORK_SECONDS {
                rhythm.work.entry(day).or_default().insert(number);
            }
            if window.sources.get(&SourceKind::BuiltIn).is_some_and(|own| own.active_seconds >= TOUCH_SECONDS)
            {
                rhythm.own.entry(day).or_default().insert(number);
            }
        }
        rhythm
    }
}
