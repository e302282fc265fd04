//! From events to a five-minute window. Pure: events and times in, [`Window`] out.
//!
//! Reading every event of a mouse that sends 8,000 a second would cost more than it tells. So in each minute
//! the first ten seconds with input are read in full ("fine"); of the others it is known that there was input
//! and little more. Counts are scaled by seconds: what a fine second held, times all seconds with input.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{Source, SourceKind, Window};
use farmwatch_shared::pointer;
use jiff::Timestamp;

use super::count::{Event, Happened};

/// Seconds with input that are read in full, each minute.
const FINE_A_MINUTE: u8 = 10;
/// Most times of moves that are kept for the pointer model, by kind of source.
const MOST_TIMES: usize = 8192;
/// A move after this long without one begins a burst: within one movement of a hand gaps are shorter.
const BURST_GAP: i64 = 250_000;
/// Fewer intervals between bursts than this say nothing about a rhythm.
const FEWEST_INTERVALS: usize = 4;
/// A pointer that moves in so many of a window's seconds, never rests for longer than within a movement of a hand, and
/// presses nothing, is on a turntable: mechanical jigglers turn a disc under a mouse (assumption: no hand does that for
/// five minutes; a mouse that shivers on glass does, too).
const UNBROKEN_SECONDS: u16 = 290;
/// Most starts of bursts that are kept.
pub(super) const MOST_BURSTS: usize = 1024;

/// How a device points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointing {
    /// Mouse, trackpoint, touchpad, touch screen, pen; keyboards too.
    ByHand,
    /// It says where the pointer is to be, as IP-KVMs and virtual machines do.
    ByPlace,
}

/// One window in the making.
#[derive(Debug)]
pub struct Tally {
    start: Timestamp,
    /// Seconds of the window in which devices were watched.
    watched: Seconds,
    fine: Seconds,
    fine_left: u8,
    minute: i64,
    sources: BTreeMap<SourceKind, Kind>,
    moves: u64,
    by_place: u64,
    last_move: Option<i64>,
    bursts: Vec<i64>,
    /// Seconds with moves.
    moved: Seconds,
    /// A key or button went down.
    pressed: bool,
    injected: u16,
    /// Seconds with input that certainly no device sent.
    software: Seconds,
}

/// What one kind of source sent.
#[derive(Debug, Default)]
struct Kind {
    active: Seconds,
    fine_active: Seconds,
    keys: Count,
    pointer: Count,
    /// A packet of one move holds several events of one time.
    last_pointer: Option<i64>,
    /// Times of moves in fine seconds.
    times: Vec<i64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    fine: u64,
    all: u64,
}

impl Tally {
    /// Begins the window that holds `now`.
    pub fn new(now: Timestamp) -> Self {
        Self {
            start: Window::start_of(now),
            watched: Seconds::default(),
            fine: Seconds::default(),
            fine_left: 0,
            minute: -1,
            sources: BTreeMap::new(),
            moves: 0,
            by_place: 0,
            last_move: None,
            bursts: Vec::new(),
            moved: Seconds::default(),
            pressed: false,
            injected: 0,
            software: Seconds::default(),
        }
    }

    /// Whether `now` is past this window, or before it because the clock was set.
    pub fn is_over(&self, now: Timestamp) -> bool {
        Window::start_of(now) != self.start
    }

    /// Devices were watched from one time to another.
    pub fn watched(&mut self, from: Timestamp, to: Timestamp) {
        let second = |at: Timestamp| at.as_second() - self.start.as_second();
        let (from, to) = (second(from).max(0), second(to).min(Window::SECONDS - 1));
        (from..=to).for_each(|second| self.watched.set(second));
    }

    /// Asks, when input arrives at `now`, whether this second is to be read in full.
    pub fn is_fine(&mut self, now: Timestamp) -> bool {
        let second = now.as_second() - self.start.as_second();
        if self.fine.has(second) {
            return true;
        }
        if second / 60 != self.minute {
            self.minute = second / 60;
            self.fine_left = FINE_A_MINUTE;
        }
        if self.fine_left == 0 {
            return false;
        }
        self.fine_left -= 1;
        self.fine.set(second);
        true
    }

    /// Takes an event that was read at `now`.
    pub fn take(&mut self, now: Timestamp, kind: SourceKind, pointing: Pointing, event: Event) {
        let second = self.second_of(now, event.at);
        let fine = self.fine.has(second);
        if event.what == Happened::Dropped {
            // What came before is not known, so the next move is not known to begin anything.
            self.last_move = Some(event.at);
            return;
        }
        let source = self.sources.entry(kind).or_default();
        source.active.set(second);
        if fine {
            source.fine_active.set(second);
        }
        // In seconds that are not read in full a click stands for whatever the pointer did.
        self.pressed |= event.what == Happened::Key || (fine && event.what == Happened::Click);
        if event.what == Happened::Key {
            source.keys.add(fine);
            return;
        }
        if source.last_pointer == Some(event.at) {
            return;
        }
        source.last_pointer = Some(event.at);
        source.pointer.add(fine);
        if event.what == Happened::Move {
            if fine && source.times.len() < MOST_TIMES {
                source.times.push(event.at);
            }
            self.moved.set(second);
            self.moves(pointing, event.at);
        }
    }

    /// The system says that there was input of which no device knows, in this many seconds.
    pub fn injected(&mut self, seconds: u16) {
        self.injected = self.injected.saturating_add(seconds).min(300);
    }

    /// Input came at `now` that certainly no device sent. Programs that remap keys send some, too, each beside the
    /// device's own: only a second without any device's is injected.
    #[cfg_attr(not(windows), allow(dead_code, reason = "others ask the system, or count both"))]
    pub fn by_software(&mut self, now: Timestamp) {
        self.software.set(now.as_second() - self.start.as_second());
    }

    /// The window.
    pub fn finish(mut self) -> Window {
        let devices = self.sources.iter().filter(|(kind, _)| is_device(**kind));
        let devices = devices.fold(Seconds::default(), |all, (_, kind)| all.with(kind.active));
        let unbroken = self.moved.count() >= UNBROKEN_SECONDS && self.bursts.len() == 1 && !self.pressed;
        let injected = self.injected.max(self.software.without(devices).count());
        let busiest = self.sources.values_mut().max_by_key(|kind| kind.times.len());
        let times = busiest.map(|kind| std::mem::take(&mut kind.times)).unwrap_or_default();
        Window {
            start: self.start,
            observed_seconds: self.watched.count(),
            injected_seconds: injected,
            absolute_permille: permille(self.by_place, self.moves),
            periodic_permille: if unbroken { 1000 } else { rhythm(&self.bursts) },
            // No hand's timing is known from a machine's.
            pointer_centinats: if unbroken { None } else { centinats(times) },
            sources: self.sources.into_iter().map(|(kind, tallied)| (kind, tallied.source())).collect(),
        }
    }

    /// The event's own second where its time is believable: it may have waited in the kernel.
    fn second_of(&self, now: Timestamp, at: i64) -> i64 {
        let waited = now.as_microsecond().saturating_sub(at);
        let at = if (0..2_000_000).contains(&waited) { at.div_euclid(1_000_000) } else { now.as_second() };
        at - self.start.as_second()
    }

    fn moves(&mut self, pointing: Pointing, at: i64) {
        self.moves += 1;
        self.by_place += u64::from(pointing == Pointing::ByPlace);
        let begins = self.last_move.is_none_or(|last| at - last > BURST_GAP || at < last);
        if begins && self.bursts.len() < MOST_BURSTS {
            self.bursts.push(at);
        }
        self.last_move = Some(at);
    }
}

impl Kind {
    fn source(&self) -> Source {
        let seconds = (u64::from(self.active.count()), u64::from(self.fine_active.count()));
        Source {
            keys: self.keys.scaled(seconds),
            pointer: self.pointer.scaled(seconds),
            active_seconds: self.active.count(),
        }
    }
}

impl Count {
    fn add(&mut self, fine: bool) {
        self.all += 1;
        self.fine += u64::from(fine);
    }

    /// To the whole window, and to the next ten.
    fn scaled(self, (active, fine_active): (u64, u64)) -> u32 {
        let scaled = (self.fine * active).checked_div(fine_active).unwrap_or(0);
        u32::try_from(scaled.max(self.all).div_ceil(10) * 10).unwrap_or(u32::MAX)
    }
}

/// The seconds of a window, a bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seconds([u64; 5]);

impl Seconds {
    pub(super) fn set(&mut self, second: i64) {
        if let Some((word, bit)) = Self::place(second) {
            self.0[word] |= 1 << bit;
        }
    }

    fn has(&self, second: i64) -> bool {
        Self::place(second).is_some_and(|(word, bit)| self.0[word] >> bit & 1 == 1)
    }

    fn with(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    pub(super) fn count(&self) -> u16 {
        self.0.iter().map(|word| u16::try_from(word.count_ones()).unwrap_or(0)).sum()
    }

    fn place(second: i64) -> Option<(usize, u32)> {
        let second = u32::try_from(second).ok().filter(|s| i64::from(*s) < Window::SECONDS)?;
        Some((usize::try_from(second / 64).ok()?, second % 64))
    }
}

/// It is known that a device sent it, and not software.
fn is_device(kind: SourceKind) -> bool {
    !matches!(kind, SourceKind::Virtual | SourceKind::Other)
}

fn permille(part: u64, whole: u64) -> u16 {
    (part * 1000).checked_div(whole).and_then(|share| u16::try_from(share).ok()).unwrap_or(0)
}

/// How regular the intervals between bursts of moves are, in thousandths: one less the coefficient of
/// variation. People's are near 0, as waiting times are; a jiggler's near 1000.
pub(super) fn rhythm(bursts: &[i64]) -> u16 {
    let intervals: Vec<f64> = bursts.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
    if intervals.len() < FEWEST_INTERVALS {
        return 0;
    }
    let count = intervals.len() as f64;
    let mean = intervals.iter().sum::<f64>() / count;
    let variance = intervals.iter().map(|i| (i - mean).powi(2)).sum::<f64>() / count;
    if mean <= 0.0 {
        return 0;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 1000")]
    let permille = (1000.0 * (1.0 - variance.sqrt() / mean).clamp(0.0, 1.0)).round() as u16;
    permille
}

/// The pointer model's word on times of moves, in microseconds.
fn centinats(mut times: Vec<i64>) -> Option<i32> {
    times.sort_unstable();
    let first = *times.first()?;
    let milliseconds: Vec<f64> = times.iter().map(|at| (at - first) as f64 / 1000.0).collect();
    pointer::model(&milliseconds, None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_795_532_400; // a whole multiple of 300

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(START + second).unwrap()
    }

    /// A device that sends `what` at each of these times, in microseconds of the window.
    fn send(tally: &mut Tally, kind: SourceKind, pointing: Pointing, what: Happened, times: &[i64]) {
        for time in times {
            let now = at(time / 1_000_000);
            tally.is_fine(now);
            tally.take(now, kind, pointing, Event { what, at: START * 1_000_000 + time });
        }
    }

    fn every(step_us: i64, until_s: i64) -> Vec<i64> {
        (0..until_s * 1_000_000 / step_us).map(|n| n * step_us).collect()
    }

    #[test]
    fn a_minute_of_typing_is_counted_to_the_next_ten() {
        let mut tally = Tally::new(at(0));
        tally.watched(at(0), at(299));
        send(&mut tally, SourceKind::BuiltIn, Pointing::ByHand, Happened::Key, &every(300_000, 60));
        let window = tally.finish();
        assert_eq!(window.observed_seconds, 300);
        let source = window.sources[&SourceKind::BuiltIn];
        assert_eq!((source.keys, source.pointer, source.active_seconds), (210, 0, 60));
    }

    #[test]
    fn a_thousand_hertz_mouse_is_sampled_and_scaled() {
        let mut tally = Tally::new(at(0));
        let times = every(1_000, 60);
        for time in &times {
            let now = at(time / 1_000_000);
            // As the reader does: in seconds that are not fine, only some events are read.
            if tally.is_fine(now) || time % 1_000_000 < 20_000 {
                let event = Event { what: Happened::Move, at: START * 1_000_000 + time };
                tally.take(now, SourceKind::Usb, Pointing::ByHand, event);
            }
        }
        let source = tally.finish().sources[&SourceKind::Usb];
        assert_eq!((source.pointer, source.active_seconds), (60_000, 60));
    }

    #[test]
    fn an_ip_kvms_pointer_jumps_and_a_mouse_does_not() {
        let mut tally = Tally::new(at(0));
        send(&mut tally, SourceKind::Usb, Pointing::ByPlace, Happened::Move, &every(20_000, 3));
        send(&mut tally, SourceKind::BuiltIn, Pointing::ByHand, Happened::Move, &every(20_000, 1));
        assert_eq!(tally.finish().absolute_permille, 750);
    }

    #[test]
    fn a_jiggler_is_periodic_and_a_hand_is_not() {
        let mut jiggler = Tally::new(at(0));
        send(&mut jiggler, SourceKind::Virtual, Pointing::ByHand, Happened::Move, &every(10_000_000, 300));
        assert!(jiggler.finish().periodic_permille > 990);

        let mut hand = Tally::new(at(0));
        let mut times = Vec::new();
        for (n, pause) in [3, 1, 17, 2, 9, 30, 1, 4].iter().enumerate() {
            let begin = times.last().copied().unwrap_or(0) + pause * 1_000_000;
            let moves = 40 + i64::try_from(n).unwrap();
            times.extend((0..moves).map(|m| begin + m * 8_000));
        }
        send(&mut hand, SourceKind::BuiltIn, Pointing::ByHand, Happened::Move, &times);
        assert!(hand.finish().periodic_permille < 200);
    }

    #[test]
    fn a_mouse_on_a_turntable_is_a_jiggler_and_a_hand_that_rests_or_presses_is_not() {
        let window = |times: &[i64], pressed: Option<Happened>| {
            let mut tally = Tally::new(at(0));
            send(&mut tally, SourceKind::Usb, Pointing::ByHand, Happened::Move, times);
            let press = pressed.map(|what| (what, [7_004_000]));
            press
                .iter()
                .for_each(|(what, times)| send(&mut tally, SourceKind::Usb, Pointing::ByHand, *what, times));
            tally.finish()
        };
        let turntable = every(8_000, 300);
        let turned = window(&turntable, None);
        assert_eq!((turned.periodic_permille, turned.pointer_centinats), (1000, None));
        for pressed in [Happened::Key, Happened::Click] {
            assert_eq!(window(&turntable, Some(pressed)).periodic_permille, 0, "{pressed:?}");
        }
        let mut rests = turntable.clone();
        rests.retain(|time| !(140_200_000..140_500_000).contains(time));
        assert_eq!(window(&rests, None).periodic_permille, 0, "it rested once, for a third of a second");
        assert_eq!(window(&every(8_000, 280), None).periodic_permille, 0, "it came to rest");
    }

    #[test]
    fn seconds_in_which_the_kernel_dropped_events_make_no_rhythm() {
        let mut tally = Tally::new(at(0));
        for second in 0..300 {
            let time = START * 1_000_000 + second * 1_000_000;
            for (what, after) in [(Happened::Dropped, 0), (Happened::Move, 1_000), (Happened::Move, 9_000)] {
                let event = Event { what, at: time + after };
                tally.take(at(second), SourceKind::Usb, Pointing::ByHand, event);
            }
        }
        assert_eq!(tally.finish().periodic_permille, 0);
    }

    #[test]
    fn a_window_ends_on_the_whole_five_minutes_and_when_the_clock_is_set_back() {
        let tally = Tally::new(at(7));
        assert!(!tally.is_over(at(299)));
        assert!(tally.is_over(at(300)) && tally.is_over(at(-1)));
        assert_eq!(tally.finish().start, at(0));
    }

    #[test]
    fn input_that_no_device_sent_is_injected_unless_a_device_sent_some_in_the_same_second() {
        let mut tally = Tally::new(at(0));
        let software = |tally: &mut Tally, kind, seconds: std::ops::Range<i64>| {
            for second in seconds {
                tally.take(at(second), kind, Pointing::ByHand, Event { what: Happened::Key, at: 0 });
                tally.by_software(at(second));
            }
        };
        software(&mut tally, SourceKind::Virtual, 10..40);
        send(&mut tally, SourceKind::Usb, Pointing::ByHand, Happened::Key, &every(1_000_000, 20));
        software(&mut tally, SourceKind::Other, 100..110);
        tally.by_software(at(-1));
        tally.by_software(at(300));
        let window = tally.finish();
        assert_eq!(
            window.injected_seconds, 30,
            "20 beside no key of the keyboard's, 10 beside what nobody told"
        );
        assert_eq!(window.active_seconds(), 30);
    }

    #[test]
    fn a_quiet_window_says_that_it_was_quiet() {
        let mut tally = Tally::new(at(0));
        tally.watched(at(10), at(299));
        let window = tally.finish();
        assert_eq!((window.observed_seconds, window.active_seconds()), (290, 0));
        assert_eq!(window.pointer_centinats, None);
    }

    proptest! {
        #[test]
        fn whatever_the_clock_does_counts_are_to_the_ten_and_shares_within_bounds(
            events in prop::collection::vec((-10i64..400, any::<i64>(), any::<bool>(), any::<bool>()), 0..200)
        ) {
            let mut tally = Tally::new(at(0));
            for (second, time, by_place, is_move) in events {
                let now = at(second);
                tally.is_fine(now);
                let pointing = if by_place { Pointing::ByPlace } else { Pointing::ByHand };
                let what = if is_move { Happened::Move } else { Happened::Key };
                tally.take(now, SourceKind::Usb, pointing, Event { what, at: time / 4 });
            }
            let window = tally.finish();
            prop_assert!(window.absolute_permille <= 1000 && window.periodic_permille <= 1000);
            for source in window.sources.values() {
                prop_assert!(source.keys % 10 == 0 && source.pointer % 10 == 0);
                prop_assert!(source.active_seconds <= 300);
            }
        }
    }
}
