//! How a laptop was used, day by day: what the rules need of its activity windows, and no more.
//!
//! A window is added once, when it arrives; a judgement then reads a few days instead of a thousand windows. Sums are
//! whole numbers, so the order of arrival changes nothing.

use crate::facts::{SourceKind, Window};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// A window with fewer active seconds is a jiggler's, or a nudge.
pub const WORK_SECONDS: u16 = 30;
/// A window with fewer seconds of the laptop's own keyboard is a brush.
const TOUCH_SECONDS: u16 = 5;
/// The pointer was put to places instead of moved: this share of its moves, and as many of them at least.
const ABSOLUTE_PERMILLE: u16 = 800;
const ABSOLUTE_MOVES: u32 = 100;
/// A pointer moves like a metronome.
const PERIODIC_PERMILLE: u16 = 900;

/// A laptop's days with windows, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    days: Vec<Day>,
}

/// One day (UTC).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Day {
    /// Counted from 1970.
    pub number: i64,
    /// Windows that are counted here.
    counted: Slots,
    /// Windows in which somebody worked, or something long enough to look like it.
    pub work: Slots,
    /// Windows with input of the laptop's own keyboard or touchpad.
    pub own: Slots,
    /// Seconds with input.
    pub active: u32,
    /// Seconds with input of the laptop's own keyboard, touchpad or touch screen.
    pub built_in: u32,
    /// Seconds with input of a kind that nobody told.
    pub untold: u32,
    /// Seconds with input that no device sent.
    pub injected: u32,
    /// Seconds with input that software made, by a device of its own or by none.
    pub software: u32,
    /// Seconds with input of a remote session of the system's own, such as RDP's.
    pub session: u32,
    /// What a jiggler alone did left out.
    pub calm: Calm,
    /// Windows in which the pointer was put to places instead of moved, over USB.
    pub absolute: u32,
    /// Windows in which the pointer moved like a metronome and no key was pressed.
    pub jiggled: u32,
    /// Windows in which the pointer model spoke, and its ln likelihood ratios together, in hundredths.
    pub timed: (u32, i64),
}

/// Seconds of a day, without windows that a jiggler made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calm {
    /// With input.
    pub active: u32,
    /// With input that software made.
    pub software: u32,
    /// With input of a remote session of the system's own.
    pub session: u32,
    /// With input in windows in which the pointer was put to places.
    pub absolute: u32,
}

impl Usage {
    /// From windows in any order; of two with one start the first counts.
    pub fn of<'a>(windows: impl IntoIterator<Item = &'a Window>) -> Self {
        let mut usage = Self::default();
        for window in windows {
            usage.add(window);
        }
        usage
    }

    /// Adds a window. False, and nothing is added, if one with its start is counted already.
    pub fn add(&mut self, window: &Window) -> bool {
        let (number, slot) = place(window);
        let at = match self.days.last() {
            Some(last) if last.number == number => self.days.len() - 1,
            _ => match self.days.binary_search_by_key(&number, |day| day.number) {
                Ok(at) => at,
                Err(at) => {
                    self.days.insert(at, Day { number, ..Day::default() });
                    at
                }
            },
        };
        self.days.get_mut(at).is_some_and(|day| day.add(slot, window))
    }

    /// A window with its start is counted.
    pub fn has(&self, window: &Window) -> bool {
        let (number, slot) = place(window);
        self.day(number).is_some_and(|day| day.counted.contains(slot))
    }

    /// Counts a window that is counted as it is now instead of as it was, for more of it has come.
    pub fn replace(&mut self, was: &Window, is: &Window) {
        let (number, slot) = place(was);
        let found = self.days.binary_search_by_key(&number, |day| day.number).ok();
        if let Some(day) = found.and_then(|at| self.days.get_mut(at)) {
            day.count(slot, was, -1);
            day.count(slot, is, 1);
        }
    }

    /// Forgets days before one.
    pub fn forget_before(&mut self, number: i64) {
        self.days.drain(..self.days.partition_point(|day| day.number < number));
    }

    /// Forgets all but the last so many days with windows.
    pub fn keep_last(&mut self, days: usize) {
        self.days.drain(..self.days.len().saturating_sub(days));
    }

    /// Forgets a day and those after it.
    pub fn forget_from(&mut self, number: i64) {
        self.days.truncate(self.days.partition_point(|day| day.number < number));
    }

    /// Days with windows, oldest first.
    pub fn days(&self) -> &[Day] {
        &self.days
    }

    /// A day, if it has windows.
    pub fn day(&self, number: i64) -> Option<&Day> {
        self.days.binary_search_by_key(&number, |day| day.number).ok().and_then(|at| self.days.get(at))
    }

    /// A sum over all days.
    pub fn sum(&self, of: impl Fn(&Day) -> u32) -> u32 {
        self.days.iter().map(of).fold(0, u32::saturating_add)
    }

    /// Windows in which the pointer model spoke, and what it said of all of them, in hundredths of nats.
    pub fn timed(&self) -> (u32, i64) {
        self.days.iter().fold((0, 0), |(windows, sum), day| (windows + day.timed.0, sum + day.timed.1))
    }
}

impl Day {
    fn add(&mut self, slot: usize, window: &Window) -> bool {
        let is_new = self.counted.insert(slot);
        if is_new {
            self.count(slot, window, 1);
        }
        is_new
    }

    /// Counts a window so many times: once, or once less.
    fn count(&mut self, slot: usize, window: &Window, times: i32) {
        let seconds = |kind| window.sources.get(&kind).map_or(0, |source| source.active_seconds);
        let active = window.active_seconds();
        let (software, absolute) = (by_software(window), is_absolute(window));
        let session = seconds(SourceKind::RemoteSession);
        self.work.set(slot, active >= WORK_SECONDS);
        self.own.set(slot, seconds(SourceKind::BuiltIn) >= TOUCH_SECONDS);
        let of = |sum: &mut u32, by: u16| *sum = sum.saturating_add_signed(times * i32::from(by));
        of(&mut self.active, active);
        of(&mut self.built_in, seconds(SourceKind::BuiltIn));
        of(&mut self.untold, seconds(SourceKind::Other));
        of(&mut self.injected, window.injected_seconds);
        of(&mut self.software, software);
        of(&mut self.session, session);
        of(&mut self.absolute, u16::from(absolute));
        if is_jiggled(window) {
            of(&mut self.jiggled, 1);
        } else {
            of(&mut self.calm.active, active);
            of(&mut self.calm.software, software);
            of(&mut self.calm.session, session);
            of(&mut self.calm.absolute, if absolute { active } else { 0 });
        }
        if let Some(centinats) = window.pointer_centinats {
            of(&mut self.timed.0, 1);
            self.timed.1 += i64::from(times) * i64::from(centinats);
        }
    }
}

/// A window's day, counted from 1970, and its place in it.
fn place(window: &Window) -> (i64, usize) {
    let second = window.start.as_second();
    let slot = second.rem_euclid(DAY) / Window::SECONDS;
    (second.div_euclid(DAY), usize::try_from(slot).unwrap_or(0))
}

/// Seconds of a window in which software pointed: input that no device sent, or that a device sent which software
/// had made (`uinput`). Programs that remap a keyboard make such a device too, but theirs does not point.
fn by_software(window: &Window) -> u16 {
    let most = window.sources.values().map(|source| source.pointer).max().unwrap_or(0);
    let by_virtual = window.sources.get(&SourceKind::Virtual);
    let seconds = by_virtual.filter(|s| s.pointer > 0 && s.pointer == most).map_or(0, |s| s.active_seconds);
    window.injected_seconds.max(seconds)
}

/// The pointer was put to places instead of moved, over USB.
fn is_absolute(window: &Window) -> bool {
    window.absolute_permille >= ABSOLUTE_PERMILLE
        && window.sources.get(&SourceKind::Usb).is_some_and(|usb| usb.pointer >= ABSOLUTE_MOVES)
        && !window.sources.contains_key(&SourceKind::BuiltIn)
}

/// As a metronome, without a key.
fn is_jiggled(window: &Window) -> bool {
    window.periodic_permille >= PERIODIC_PERMILLE
        && window.sources.values().all(|source| source.keys == 0)
        && window.active_seconds() > 0
}

/// Some of a day's 288 windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots([u64; 5]);

impl Slots {
    /// Windows of a day.
    pub const DAY: usize = 288;

    /// Adds a window by its number in the day; false if it is there.
    pub fn insert(&mut self, slot: usize) -> bool {
        let Some(word) = self.0.get_mut(slot / 64) else { return false };
        let bit = 1 << (slot % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// A window is among them, or not.
    fn set(&mut self, slot: usize, is_there: bool) {
        let Some(word) = self.0.get_mut(slot / 64) else { return };
        let bit = 1 << (slot % 64);
        *word = if is_there { *word | bit } else { *word & !bit };
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 5]
    }

    /// A window is among them.
    pub fn contains(&self, slot: usize) -> bool {
        self.0.get(slot / 64).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// By their numbers in the day, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..Self::DAY).filter(|slot| self.contains(*slot))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::facts::Source;
    use jiff::Timestamp;

    /// The window number `n` since 1970.
    fn window(n: i64, kind: SourceKind, keys: u32, active_seconds: u16) -> Window {
        Window {
            start: Timestamp::from_second(n * Window::SECONDS).unwrap(),
            observed_seconds: 300,
            sources: [(kind, Source { keys, pointer: 300, active_seconds })].into(),
            injected_seconds: 0,
            absolute_permille: 900,
            periodic_permille: 950,
            pointer_centinats: Some(i32::from(active_seconds)),
        }
    }

    fn windows() -> impl Strategy<Value = Vec<Window>> {
        let kinds = [SourceKind::BuiltIn, SourceKind::Usb, SourceKind::Virtual, SourceKind::Other];
        let one = (0..900i64, prop::sample::select(kinds.to_vec()), 0..2u32, 0..300u16);
        let all = prop::collection::btree_map(0..900i64, one, 0..60);
        all.prop_map(|all| all.into_iter().map(|(n, (_, kind, keys, s))| window(n, kind, keys, s)).collect())
    }

    proptest! {
        #[test]
        fn whatever_the_order_days_sum_up_what_windows_say(windows in windows(), seed in any::<u64>()) {
            let usage = Usage::of(&windows);
            let mut shuffled = windows.clone();
            shuffled.sort_by_key(|w| w.start.as_second().cast_unsigned().wrapping_mul(seed | 1));
            prop_assert_eq!(&usage, &Usage::of(&shuffled));
            let active: u32 = windows.iter().map(|w| u32::from(w.active_seconds())).sum();
            prop_assert_eq!(usage.sum(|day| day.active), active);
            let days: Vec<i64> = usage.days().iter().map(|day| day.number).collect();
            for day in usage.days() {
                let of_day: Vec<&Window> =
                    windows.iter().filter(|w| w.start.as_second().div_euclid(DAY) == day.number).collect();
                let worked = of_day.iter().filter(|w| w.active_seconds() >= WORK_SECONDS).count();
                prop_assert_eq!((day.work.len(), day.work.iter().count()), (worked, worked));
                let jiggled = of_day.iter().filter(|w| is_jiggled(w)).count();
                prop_assert_eq!(day.jiggled as usize, jiggled);
            }
            prop_assert!(days.is_sorted());
        }

        #[test]
        fn what_is_forgotten_and_read_anew_is_as_before(windows in windows(), day in 0..4i64) {
            let usage = Usage::of(&windows);
            let mut again = usage.clone();
            again.forget_from(day);
            let later = windows.iter().filter(|w| w.start.as_second().div_euclid(DAY) >= day);
            later.for_each(|window| assert!(again.add(window)));
            prop_assert_eq!(again, usage);
        }
    }

    #[test]
    fn a_window_counts_once() {
        let mut usage = Usage::default();
        assert!(usage.add(&window(7, SourceKind::Usb, 3, 100)));
        let before = usage.clone();
        assert!(!usage.add(&window(7, SourceKind::BuiltIn, 9, 200)));
        assert_eq!(usage, before);
    }
}
