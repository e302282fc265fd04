use proptest::prelude::*;

use super::*;

const START: i64 = 1_795_532_400; // a whole multiple of 300

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn counters(keys: u32, moves: u32) -> Counters {
    Counters { keys, moves, clicks: 0 }
}

/// Input of devices that reaches the session.
fn by_hand(keys: u32, moves: u32) -> Sample {
    Sample { session: counters(keys, moves), devices: counters(keys, moves) }
}

/// Follows samples at these seconds, from the first of them on, into one window.
fn window(samples: &[(i64, Sample)]) -> Window {
    let (mut session, mut counting) = (Session::default(), Counting::new(at(0)));
    for (second, sample) in samples {
        if let Some(news) = session.follow(at(*second), *sample) {
            counting.take(at(*second), &news);
        }
    }
    counting.finish().unwrap()
}

#[test]
fn a_minute_of_typing_is_counted_to_the_next_ten_and_says_nothing_of_whose_keyboard() {
    let samples: Vec<_> = (0..=60).map(|n| (n, by_hand(100 + 3 * u32::try_from(n).unwrap(), 7))).collect();
    let window = window(&samples);
    assert_eq!(window.observed_seconds, 61);
    let source = window.sources[&SourceKind::Other];
    assert_eq!((source.keys, source.pointer, source.active_seconds), (180, 0, 60));
    assert_eq!((window.injected_seconds, window.sources.len()), (0, 1));
}

#[test]
fn what_no_device_sent_was_injected() {
    let remote =
        |n: i64| Sample { session: counters(0, 50 * u32::try_from(n).unwrap()), devices: counters(9, 9) };
    let samples: Vec<_> = (0..=120).map(|n| (n, remote(n))).collect();
    let window = window(&samples);
    assert!(window.sources.is_empty());
    // What came first may have been on its way from a device.
    assert_eq!((window.injected_seconds, window.active_seconds()), (119, 119));
}

#[test]
fn an_event_that_is_on_its_way_at_a_sample_is_not_injected() {
    // The device's counter is a step ahead of the session's.
    let samples: Vec<_> = (0..=30u32)
        .map(|n| {
            (
                i64::from(n),
                Sample {
                    session: counters(0, 10 * n.saturating_sub(1)),
                    devices: counters(0, 10 * n.min(29)),
                },
            )
        })
        .collect();
    let window = window(&samples);
    assert_eq!(window.injected_seconds, 0);
    assert_eq!(window.sources[&SourceKind::Other].active_seconds, 28);
}

#[test]
fn a_text_expander_between_keys_is_not_a_far_hand() {
    let samples: Vec<_> = (0..=60u32)
        .map(|n| (i64::from(n), Sample { session: counters(30 * n, 0), devices: counters(3 * n, 0) }))
        .collect();
    assert_eq!(window(&samples).injected_seconds, 0);
}

#[test]
fn counters_that_wrap_go_on() {
    let near = u32::MAX - 4;
    let samples = [(0, by_hand(near, near)), (1, by_hand(near.wrapping_add(10), near.wrapping_add(20)))];
    let source = window(&samples).sources[&SourceKind::Other];
    assert_eq!((source.keys, source.pointer), (10, 20));
}

#[test]
fn counters_that_begin_anew_after_a_log_out_add_nothing() {
    let samples = [(0, by_hand(9_000, 500_000)), (1, by_hand(3, 40)), (2, by_hand(4, 40))];
    let window = window(&samples);
    assert_eq!(window.sources[&SourceKind::Other].keys, 10, "one key, after that");
    assert_eq!(window.injected_seconds, 0);
}

#[test]
fn a_sleep_in_between_is_not_watched_and_what_was_in_it_is_nobodys() {
    let samples = [(0, by_hand(1, 1)), (5, by_hand(2, 2)), (200, by_hand(60, 900)), (203, by_hand(60, 900))];
    let window = window(&samples);
    assert_eq!(window.observed_seconds, 6 + 4);
    assert_eq!(window.sources[&SourceKind::Other].pointer, 10);
}

#[test]
fn of_two_sessions_the_one_that_is_seen_has_the_input() {
    let (mut seen, mut away) = (Session::default(), Session::default());
    let mut counting = Counting::new(at(0));
    for n in 0..=60u32 {
        let now = at(n.into());
        // The devices' counters go on for both; only one session is reached.
        let reached = by_hand(2 * n, 0);
        let other = Sample { session: counters(77, 77), devices: counters(2 * n, 0) };
        for (session, sample) in [(&mut seen, reached), (&mut away, other)] {
            if let Some(news) = session.follow(now, sample) {
                counting.take(now, &news);
            }
        }
    }
    let window = counting.finish().unwrap();
    assert_eq!(window.sources[&SourceKind::Other].keys, 120);
    assert_eq!((window.injected_seconds, window.observed_seconds), (0, 61));
}

#[test]
fn a_jiggler_is_periodic_and_a_hand_is_not() {
    let moves = |seconds: &[i64]| {
        let mut count = 0;
        let samples: Vec<_> = (0..300)
            .map(|n| {
                count += u32::from(seconds.contains(&n)) * 5;
                (n, Sample { session: counters(0, count), devices: counters(0, 0) })
            })
            .collect();
        window(&samples).periodic_permille
    };
    assert!(moves(&(0..5).map(|n| 20 + n * 59).collect::<Vec<_>>()) > 950);
    let hand: Vec<i64> = [3, 9, 10, 11, 40, 41, 60, 62, 63, 140, 141, 150, 230, 290, 291].into();
    assert!(moves(&hand) < 500, "{}", moves(&hand));
}

#[test]
fn where_nobody_counts_there_is_no_window() {
    assert_eq!(Counting::new(at(7)).finish(), None);
    let counting = Counting::new(at(7));
    assert!(!counting.is_over(at(299)) && counting.is_over(at(300)) && counting.is_over(at(-1)));
}

proptest! {
    #[test]
    fn whatever_counters_and_clocks_do_windows_stay_within_bounds(
        samples in prop::collection::vec((-400i64..700, any::<[u32; 6]>(), any::<bool>()), 0..200)
    ) {
        let mut sessions = [Session::default(), Session::default()];
        let mut counting = Counting::new(at(0));
        for (second, [a, b, c, d, e, f], which) in samples {
            let sample = Sample {
                session: Counters { keys: a, moves: b, clicks: c },
                devices: Counters { keys: d, moves: e, clicks: f },
            };
            if let Some(news) = sessions[usize::from(which)].follow(at(second), sample) {
                prop_assert!(news.seconds <= GAP);
                counting.take(at(second), &news);
            }
        }
        if let Some(window) = counting.finish() {
            prop_assert!(window.observed_seconds <= 300 && window.injected_seconds <= 300);
            prop_assert!(window.periodic_permille <= 1000);
            for source in window.sources.values() {
                prop_assert!(source.keys % 10 == 0 && source.pointer % 10 == 0 && source.active_seconds <= 300);
            }
        }
    }

    #[test]
    fn each_key_of_a_steady_session_is_counted_once(
        steps in prop::collection::vec((0u32..50, 0u32..50), 1..100), begin: u32
    ) {
        let (mut keys, mut moves) = (begin, begin);
        let mut samples = vec![(0, by_hand(keys, moves))];
        for (second, (typed, moved)) in (1..).zip(&steps) {
            (keys, moves) = (keys.wrapping_add(*typed), moves.wrapping_add(*moved));
            samples.push((second, by_hand(keys, moves)));
        }
        let window = window(&samples);
        let source = window.sources.get(&SourceKind::Other).copied().unwrap_or_default();
        prop_assert_eq!(source.keys, steps.iter().map(|step| step.0).sum::<u32>().div_ceil(10) * 10);
        prop_assert_eq!(source.pointer, steps.iter().map(|step| step.1).sum::<u32>().div_ceil(10) * 10);
        prop_assert_eq!(window.injected_seconds, 0);
    }
}
