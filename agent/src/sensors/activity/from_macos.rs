//! From the counters that macOS keeps of a session's input to five-minute windows. Pure: samples and times in, a
//! [`Window`] out. There is no key, no place and no timing in a counter, only how many.
//!
//! Each session has its counters twice: of what devices sent (the HID system's), and of all that reached the session.
//! What reached it and no device sent was injected by software. Software that disguises itself as a device (a virtual
//! HID driver, events posted with the HID system's own source) counts as a device; so input of devices is never said
//! to be the laptop's own (`SourceKind::Other`), and proves no own hands.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{Source, SourceKind, Window};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::tally::{MOST_BURSTS, Seconds, rhythm};

/// Samples come at least this often, in seconds; after a longer gap the laptop slept, and nobody knows what was in it.
const GAP: i64 = 15;
/// No device and no program sends so many events a second: counters that grow faster have begun anew.
const MOST_A_SECOND: u32 = 20_000;
/// A move after so many seconds without one begins a burst: samples are a second apart.
const BURST_GAP: i64 = 3_000_000;

/// How many events there were since the session began, modulo 2³².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Keys that went down.
    pub keys: u32,
    /// Moves of the pointer, dragging or not.
    pub moves: u32,
    /// Buttons that went down, turns of a wheel, a tablet's pen.
    pub clicks: u32,
}

/// A session's counters at one moment: the session's read before the devices', so that an event on its way in between
/// is a device's and not software's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Of all that reached the session.
    pub session: Counters,
    /// Of what devices sent.
    pub devices: Counters,
}

impl Counters {
    fn since(self, before: Self) -> Self {
        Self {
            keys: self.keys.wrapping_sub(before.keys),
            moves: self.moves.wrapping_sub(before.moves),
            clicks: self.clicks.wrapping_sub(before.clicks),
        }
    }

    fn each(self) -> [u32; 3] {
        [self.keys, self.moves, self.clicks]
    }

    fn least(self, other: Self) -> Self {
        Self {
            keys: self.keys.min(other.keys),
            moves: self.moves.min(other.moves),
            clicks: self.clicks.min(other.clicks),
        }
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What happened in a session between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// How long it was watched for this, in seconds.
    pub seconds: i64,
    /// Input of devices that reached the session.
    pub devices: Counters,
    /// Input reached the session while no device had sent any for two samples.
    pub injected: bool,
    /// The pointer moved, by whomever.
    pub moved: bool,
}

/// Follows one session's samples.
#[derive(Clone, Debug, Default)]
pub struct Session {
    last: Option<(Timestamp, Sample)>,
    /// Devices sent something in the last step, so more of it may be on its way.
    devices_just_sent: bool,
}

impl Session {
    /// Takes the next sample. `None` for the first, after a sleep, and where the counters have begun anew: then nobody
    /// knows what was in between.
    pub fn follow(&mut self, now: Timestamp, sample: Sample) -> Option<News> {
        let Some((at, before)) = self.last.replace((now, sample)) else {
            self.devices_just_sent = true;
            return None;
        };
        let seconds = now.duration_since(at).as_secs();
        let step = Sample {
            session: sample.session.since(before.session),
            devices: sample.devices.since(before.devices),
        };
        let most = MOST_A_SECOND.saturating_mul(u32::try_from(seconds.clamp(0, GAP)).unwrap_or(0) + 1);
        let goes_on = [step.session, step.devices].into_iter().flat_map(Counters::each).all(|n| n <= most);
        if !(0..=GAP).contains(&seconds) || !goes_on {
            self.devices_just_sent = true;
            return None;
        }
        let devices_sent = !step.devices.is_none();
        let quiet = !devices_sent && !self.devices_just_sent;
        self.devices_just_sent = devices_sent;
        Some(News {
            seconds,
            // In a session that was switched away from, devices' counters may go on for the one that is seen.
            devices: step.devices.least(step.session),
            injected: quiet && !step.session.is_none(),
            moved: step.session.moves > 0,
        })
    }
}

/// One window in the making, of all sessions together.
#[derive(Debug)]
pub struct Counting {
    start: Timestamp,
    watched: Seconds,
    active: Seconds,
    injected: Seconds,
    keys: u64,
    pointer: u64,
    last_move: Option<i64>,
    bursts: Vec<i64>,
}

impl Counting {
    /// Begins the window that holds `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            start: Window::start_of(now),
            watched: Seconds::default(),
            active: Seconds::default(),
            injected: Seconds::default(),
            keys: 0,
            pointer: 0,
            last_move: None,
            bursts: Vec::new(),
        }
    }

    /// Whether `now` is past this window, or before it because the clock was set.
    pub fn is_over(&self, now: Timestamp) -> bool {
        Window::start_of(now) != self.start
    }

    /// Takes what a session's sample of `now` said.
    pub fn take(&mut self, now: Timestamp, news: &News) {
        let second = now.as_second() - self.start.as_second();
        (second.saturating_sub(news.seconds)..=second).for_each(|second| self.watched.set(second));
        let Counters { keys, moves, clicks } = news.devices;
        self.keys += u64::from(keys);
        self.pointer += u64::from(moves) + u64::from(clicks);
        if !news.devices.is_none() {
            self.active.set(second);
        }
        if news.injected {
            self.injected.set(second);
        }
        if news.moved {
            self.moved(now.as_microsecond());
        }
    }

    fn moved(&mut self, at: i64) {
        let begins = self.last_move.is_none_or(|last| at < last || at - last >= BURST_GAP);
        if begins && self.bursts.len() < MOST_BURSTS {
            self.bursts.push(at);
        }
        self.last_move = Some(at);
    }

    /// The window; `None` if nobody counted for it.
    pub fn finish(self) -> Option<Window> {
        let observed_seconds = self.watched.count();
        let to_the_ten = |count: u64| u32::try_from(count.div_ceil(10) * 10).unwrap_or(u32::MAX);
        let source = Source {
            keys: to_the_ten(self.keys),
            pointer: to_the_ten(self.pointer),
            active_seconds: self.active.count(),
        };
        let sources =
            if source == Source::default() { BTreeMap::new() } else { [(SourceKind::Other, source)].into() };
        (observed_seconds > 0).then(|| Window {
            start: self.start,
            observed_seconds,
            sources,
            injected_seconds: self.injected.count(),
            absolute_permille: 0,
            periodic_permille: rhythm(&self.bursts),
            pointer_centinats: None,
        })
    }
}

#[cfg(test)]
#[path = "from_macos_tests.rs"]
mod tests;
