use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Seconds in a window. Windows start at whole multiples of this since 1970.
pub const WINDOW_SECONDS: i64 = 300;

/// Aggregate of input over five minutes: counts, never content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Its start, a whole multiple of five minutes.
    pub start: Timestamp,
    /// Seconds of it in which the sensor read; sampled sensors read a part and scale their counts to the
    /// whole.
    #[serde(default)]
    pub observed_seconds: u16,
    /// Input by kind of source. Kinds without input are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<SourceKind, Source>,
    /// Seconds in which the system says there was input and no device sent any: injected by software.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub injected_seconds: u16,
    /// Share of pointer moves that were absolute jumps, in thousandths.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub absolute_permille: u16,
    /// How periodic pointer moves were, in thousandths: 1000 is a metronome.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub periodic_permille: u16,
    /// The pointer model's ln P(timing | remote path) / P(timing | local), in hundredths; `None` without
    /// enough input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer_centinats: Option<i32>,
}

impl Window {
    /// The window's length.
    pub const SECONDS: i64 = WINDOW_SECONDS;

    /// Start of the window that holds `at`.
    pub fn start_of(at: Timestamp) -> Timestamp {
        let second = at.as_second().div_euclid(WINDOW_SECONDS) * WINDOW_SECONDS;
        Timestamp::from_second(second).unwrap_or(at)
    }

    /// Seconds with input of any kind.
    pub fn active_seconds(&self) -> u16 {
        let most = self.sources.values().map(|s| s.active_seconds).max().unwrap_or(0);
        most.max(self.injected_seconds)
    }
}

/// Input of one kind of source in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// Key presses, how many and not which, to the next ten.
    pub keys: u32,
    /// Pointer events, to the next ten.
    pub pointer: u32,
    /// Seconds with at least one event.
    pub active_seconds: u16,
}

/// Where input came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// The laptop's own keyboard, touchpad, trackpoint, touch screen.
    BuiltIn,
    /// On USB.
    Usb,
    /// On Bluetooth.
    Bluetooth,
    /// Made by software: uinput and its kin.
    Virtual,
    /// A remote session's.
    RemoteSession,
    /// A kind that a newer agent knows, or none of these.
    #[serde(other)]
    Other,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u16) -> bool {
    *n == 0
}
