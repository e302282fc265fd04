use proptest::prelude::*;

use super::*;

fn policy(mode: QuarantineMode) -> QuarantinePolicy {
    QuarantinePolicy { mode, cap_per_hour: 3, ..QuarantinePolicy::default() }
}

fn clear(policy: &QuarantinePolicy) -> Case<'_> {
    Case {
        policy,
        learning: false,
        kind: AlertKind::Site,
        open: true,
        probability: Some(0.999),
        sanctioned: false,
        apart: false,
        exempt: false,
        isolated: false,
        released_by_person: false,
        had_its_time: false,
        in_last_hour: 0,
    }
}

#[test]
fn each_mode_does_what_its_name_says() {
    use QuarantineMode as Mode;
    let decided = [Mode::Off, Mode::DryRun, Mode::Ask, Mode::Auto].map(|mode| decide(&clear(&policy(mode))));
    assert_eq!(decided, [Decision::Off, Decision::DryRun, Decision::Ask, Decision::Auto]);
}

#[test]
fn the_reason_that_lasts_is_told_first() {
    let auto = policy(QuarantineMode::Auto);
    let exempt = Case { exempt: true, in_last_hour: 9, ..clear(&auto) };
    assert_eq!(decide(&exempt), Decision::Refused(Refused::Exempt));
    for (mode, decision) in
        [(QuarantineMode::Auto, Decision::Auto), (QuarantineMode::DryRun, Decision::DryRun)]
    {
        let policy = policy(mode);
        assert_eq!(decide(&Case { in_last_hour: 2, ..clear(&policy) }), decision);
        let capped = decide(&Case { in_last_hour: 3, ..clear(&policy) });
        assert_eq!(capped, Decision::Refused(Refused::Cap), "a dry run says what would happen");
    }
    let nan = Case { probability: Some(f64::NAN), ..clear(&auto) };
    assert_eq!(decide(&nan), Decision::Refused(Refused::BelowThreshold));
}

/// One turn of evidence about one of a few laptops, and time that passes before it.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about one laptop")]
struct Turn {
    laptop: usize,
    kind: AlertKind,
    open: bool,
    learning: bool,
    sanctioned: bool,
    apart: bool,
    probability: Option<f64>,
    minutes: u32,
    mode: QuarantineMode,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let kind = prop::sample::select(vec![AlertKind::Policy, AlertKind::Device, AlertKind::Site]);
    let mode = prop::sample::select(vec![
        QuarantineMode::Off,
        QuarantineMode::DryRun,
        QuarantineMode::Ask,
        QuarantineMode::Auto,
    ]);
    let seldom = || prop::bool::weighted(0.1);
    let flags = (any::<bool>(), seldom(), seldom(), seldom());
    let turn = (0usize..8, kind, flags, prop::option::of(0.9..1.0f64), 0u32..20, mode);
    let turn =
        turn.prop_map(|(laptop, kind, (open, learning, sanctioned, apart), probability, minutes, mode)| {
            Turn { laptop, kind, open, learning, sanctioned, apart, probability, minutes, mode }
        });
    prop::collection::vec(turn, 0..120)
}

proptest! {
    #[test]
    fn no_sequence_of_evidence_breaks_a_guardrail(turns in turns()) {
        let exempt = [2usize, 5];
        let (mut minute, mut isolations) = (0u32, Vec::<(u32, usize)>::new());
        for turn in turns {
            minute += turn.minutes;
            let policy = policy(turn.mode);
            let recent = isolations.iter().filter(|(at, _)| minute - at < 60).count();
            let case = Case {
                learning: turn.learning,
                kind: turn.kind,
                open: turn.open,
                probability: turn.probability,
                sanctioned: turn.sanctioned,
                apart: turn.apart,
                exempt: exempt.contains(&turn.laptop),
                isolated: isolations.iter().any(|(at, laptop)| *laptop == turn.laptop && minute - at < 24 * 60),
                in_last_hour: recent as u64,
                ..clear(&policy)
            };
            if decide(&case) == Decision::Auto {
                prop_assert_eq!(turn.mode, QuarantineMode::Auto);
                prop_assert!(turn.kind != AlertKind::Policy && turn.open && !turn.learning);
                prop_assert!(!turn.sanctioned && !turn.apart);
                prop_assert!(turn.probability.is_some_and(|p| p >= policy.threshold));
                isolations.push((minute, turn.laptop));
            }
        }
        for (at, laptop) in &isolations {
            prop_assert!(!exempt.contains(laptop));
            let hour = isolations.iter().filter(|(other, _)| (*at..at + 60).contains(other)).count();
            prop_assert!(hour <= 3, "{} in one hour", hour);
        }
    }
}
