//! The pointer model: does the pointer's timing look as if it came through a network?
//!
//! Physical cause: a local device reports on its own clock, every 0.125 to 15 ms while it moves, so intervals that
//! follow each other are alike or differ as slowly as a hand does. What comes through a network is gathered (an RDP
//! client sends every 100 ms, a browser with its frames), each piece is delayed by its own amount, and so each
//! interval differs from the next by about that: it is restless.
//!
//! What it rests on: three people over RDP, two at their own desks, five devices read by the kernel; the two also on
//! simulated other devices and through simulated paths, so that what is learnt is not the recorder
//! (`tests/learn/pointer.py`; figures: `./tests/scoreboard pointer`). It says so by its caps (`coefficients`), which
//! are small: whatever the number of windows, the model alone can never raise an alert.
//!
//! Defeated by a path that jitters less than 5 ms, by a gadget that is polled every 8 ms and fed faster, and by one
//! with a clock of its own. Innocent twins: VDI clients, assistive technology, a radio mouse at the edge of its range.

mod coefficients;

use std::collections::BTreeMap;

use coefficients::LEARNT;
pub use coefficients::{CAP_LOCAL, CAP_REMOTE};

/// Longest interval in milliseconds that belongs to one movement.
const MOTION_MS: i64 = 250;
/// An interval in milliseconds longer than any local device's report interval.
const SLOW_MS: i64 = 40;
/// From this period in milliseconds on it tells a clock, and how many of its beats a slow hand may skip.
const CLOCK_MS: i64 = 5;
const BEATS: i64 = 3;
/// Fewest intervals of movement on which the model speaks.
const ENOUGH: usize = 50;
/// What five minutes of use are, in milliseconds, and how much of a gap is use.
const WINDOW_MS: f64 = 300_000.0;
const GAP_MS: f64 = 5_000.0;

/// How a window's movements are timed: two histograms in milliseconds, all that the model needs.
///
/// Times are rounded to the millisecond, so that a finer recorder is not taken for another hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// How often each interval of movement occurs, 1 to 250 ms.
    pub intervals: BTreeMap<i64, usize>,
    /// How often an interval differs from the one before it by so much.
    pub steps: BTreeMap<i64, usize>,
}

/// What the model looks at in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Features {
    /// Share of intervals of movement above 40 ms.
    pub slow: f64,
    /// Share of intervals of movement within 1 ms of the most frequent one: a device's own clock.
    pub steady: f64,
    /// ln(1 + third quartile of the steps in milliseconds), what beats of the device's clock explain taken off: what
    /// each event was delayed by.
    pub restless: f64,
}

/// What weighs the features: logit = intercept + slow · slow + steady · steady + restless · restless.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "named like the features")]
pub struct Coefficients {
    pub intercept: f64,
    pub slow: f64,
    pub steady: f64,
    pub restless: f64,
}

impl Coefficients {
    /// ln P(features | remote path) / P(features | local), as the fit has it, without caps.
    pub fn logit(&self, features: &Features) -> f64 {
        self.intercept
            + self.slow * features.slow
            + self.steady * features.steady
            + self.restless * features.restless
    }
}

/// ln P(timing | remote path) / P(timing | local) of five minutes of use, in hundredths of a nat; `None`
/// without enough movement to tell. It stays within −[`CAP_LOCAL`] and [`CAP_REMOTE`].
///
/// `times_ms` are the times of pointer events, ascending; `xy` their positions, where they are known: then
/// events that moved nothing (clicks, the wheel) are left out.
pub fn model(times_ms: &[f64], xy: Option<&[(f64, f64)]>) -> Option<i32> {
    let logit = LEARNT.logit(&Timing::of(times_ms, xy).features()?);
    let cap = if logit > 0.0 { CAP_REMOTE } else { CAP_LOCAL };
    #[allow(clippy::cast_possible_truncation, reason = "within the caps")]
    Some((100.0 * cap * (logit / cap).tanh()).round() as i32)
}

impl Timing {
    /// The timing of pointer events; arguments as of [`model`].
    pub fn of(times_ms: &[f64], xy: Option<&[(f64, f64)]>) -> Self {
        let mut timing = Self::default();
        let (mut last, mut before): (Option<i64>, Option<i64>) = (None, None);
        let mut place = None;
        for (index, time) in times_ms.iter().enumerate().filter(|(_, time)| time.is_finite()) {
            let here = xy.and_then(|xy| xy.get(index));
            if here.is_some() && here == place {
                continue;
            }
            place = here;
            #[allow(clippy::cast_possible_truncation, reason = "saturates, and is then no movement")]
            let now = (time + 0.5).floor() as i64;
            let interval = last.map(|last| now.saturating_sub(last)).filter(|i| (0..=MOTION_MS).contains(i));
            if let Some(interval) = interval {
                if interval > 0 {
                    *timing.intervals.entry(interval).or_default() += 1;
                }
                if let Some(before) = before {
                    *timing.steps.entry((interval - before).abs()).or_default() += 1;
                }
            }
            (last, before) = (Some(now), interval);
        }
        timing
    }

    /// The model's features; `None` without enough movement.
    pub fn features(&self) -> Option<Features> {
        let moving: usize = self.intervals.values().sum();
        if moving < ENOUGH {
            return None;
        }
        // The shortest of the most frequent intervals.
        let (period, _) = self.intervals.iter().max_by_key(|(interval, count)| (**count, -**interval))?;
        let steady: usize = self.intervals.range(period - 1..=period + 1).map(|(_, count)| count).sum();
        let slow: usize = self.intervals.range(SLOW_MS + 1..).map(|(_, count)| count).sum();
        let step = third_quartile(&off_beat(&self.steps, *period))?;
        // What beats more rarely than any device does is no device's clock: events were gathered for that long.
        let is_clock = *period <= SLOW_MS;
        Some(Features {
            slow: slow as f64 / moving as f64,
            steady: if is_clock { steady as f64 / moving as f64 } else { 0.0 },
            restless: (if is_clock { step } else { step.max(*period) } as f64).ln_1p(),
        })
    }
}

/// How far each step is from the next whole number of beats: a slow hand lets a device skip some.
fn off_beat(steps: &BTreeMap<i64, usize>, period: i64) -> BTreeMap<i64, usize> {
    let beats = if (CLOCK_MS..=SLOW_MS).contains(&period) { BEATS } else { 0 };
    let mut off = BTreeMap::new();
    for (step, count) in steps {
        let distance = (0..=beats).map(|beat| (step - beat * period).abs()).min().unwrap_or(*step);
        *off.entry(distance).or_default() += count;
    }
    off
}

fn third_quartile(counts: &BTreeMap<i64, usize>) -> Option<i64> {
    let mut left = 3 * counts.values().sum::<usize>() / 4;
    for (value, count) in counts {
        if left < *count {
            return Some(*value);
        }
        left -= count;
    }
    None
}

/// Cuts a session into windows of five minutes of use, as ranges of its events: a gap counts as use for five
/// seconds at most.
pub fn windows(times_ms: &[f64]) -> Vec<std::ops::Range<usize>> {
    let mut windows = Vec::new();
    let (mut start, mut used) = (0, 0.0);
    for (index, pair) in times_ms.windows(2).enumerate() {
        used += (pair[1] - pair[0]).clamp(0.0, GAP_MS);
        if used >= WINDOW_MS {
            windows.push(start..index + 1);
            (start, used) = (index + 1, 0.0);
        }
    }
    if start < times_ms.len() {
        windows.push(start..times_ms.len());
    }
    windows
}

/// What several windows say together, in nats, from their sum in hundredths: within the caps, because windows of one
/// person are not independent and the model was learnt on few people.
pub fn together(centinats: i64) -> f64 {
    (centinats as f64 / 100.0).clamp(-CAP_LOCAL, CAP_REMOTE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Events at the given intervals, repeated.
    fn moving(intervals: &[f64], times: usize) -> Vec<f64> {
        let steps = intervals.iter().cycle().take(times);
        steps
            .scan(0.0, |at, step| {
                *at += step;
                Some(*at)
            })
            .collect()
    }

    #[test]
    fn a_mouse_at_125_hz_is_local() {
        assert!(model(&moving(&[8.0, 8.1, 7.9, 8.0, 16.0], 500), None).unwrap() < -30);
    }

    #[test]
    fn a_trackpoint_that_skips_beats_is_local() {
        assert!(model(&moving(&[13.0, 13.0, 25.0, 13.0, 38.0], 500), None).unwrap() < 0);
    }

    #[test]
    fn rdp_that_sends_every_tenth_of_a_second_is_remote() {
        let rdp = moving(&[112.0, 0.0, 104.0, 112.0, 186.0, 1.0, 113.0, 208.0], 500);
        assert!(model(&rdp, None).unwrap() > 60);
    }

    #[test]
    fn a_browsers_frames_through_a_network_are_remote() {
        let kvm = moving(&[17.0, 9.0, 31.0, 16.0, 2.0, 34.0, 12.0, 26.0, 5.0], 500);
        assert!(model(&kvm, None).unwrap() > 60);
    }

    #[test]
    fn a_gaming_mouse_that_speeds_up_and_slows_down_is_local() {
        let mouse = moving(&[6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 6.0, 9.0, 7.0], 500);
        assert!(model(&mouse, None).unwrap() < 0);
    }

    #[test]
    fn three_moves_say_nothing() {
        assert_eq!(model(&moving(&[112.0], 3), None), None);
    }

    #[test]
    fn clicks_are_not_moves() {
        let times = moving(&[8.0], 200);
        let still = vec![(5.0, 5.0); 200];
        assert_eq!(Timing::of(&times, Some(&still)).features(), None);
    }

    #[test]
    fn five_minutes_of_use_are_one_window_and_a_night_counts_little() {
        let mut times = moving(&[1000.0], 301);
        times.push(1e8);
        assert_eq!(windows(&times), vec![0..300, 300..302]);
    }

    #[test]
    fn a_hundred_windows_say_no_more_than_the_cap() {
        assert!((together(100 * 100) - CAP_REMOTE).abs() < 1e-9);
        assert!((together(-40 * 100) + CAP_LOCAL).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn any_times_give_a_number_within_the_caps(times in prop::collection::vec(any::<f64>(), 0..400)) {
            if let Some(centinats) = model(&times, None) {
                prop_assert!((-46..=106).contains(&centinats));
            }
            let covered: usize = windows(&times).iter().map(std::ops::Range::len).sum();
            prop_assert_eq!(covered, times.len());
        }
    }
}
