use proptest::prelude::*;

use super::*;
use crate::id::DeviceId;

const GROUPS: [Group; 10] = [
    Group::RemoteControl,
    Group::Hands,
    Group::Input,
    Group::Display,
    Group::UsbHid,
    Group::NetworkOrigin,
    Group::Place,
    Group::Locale,
    Group::Power,
    Group::Hygiene,
];

pub fn found(group: Group, cause: &str, llr: f64, honest_llr: f64) -> Finding {
    Finding {
        rule: format!("test.{cause}"),
        technique: None,
        group,
        cause: cause.into(),
        llr,
        honest_llr,
        why: String::new(),
        facts: Vec::new(),
        policy: false,
    }
}

fn id(n: u128) -> DeviceId {
    DeviceId::new(1_790_000_000_000, n)
}

fn devices(pairs: &[(f64, f64)]) -> Vec<OwnFacts> {
    pairs.iter().enumerate().map(|(n, (llr, honest))| OwnFacts::of(id(n as u128), *llr, *honest)).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * (1.0 + a.abs())
}

#[test]
fn nothing_found_leaves_the_prior() {
    let judged = device(vec![], &Weights::shipped());
    assert!(close(judged.posterior, 1e-4), "{judged:?}");
}

#[test]
fn a_remote_tool_alone_is_computed_as_by_hand() {
    // Λ 4.5, B 4.3: 1e-4·e^4.5 / (1e-4·e^4.5 + 1e-2·e^4.3 + 0.9899) = 0.0090017 / (0.0090017 + 0.7369979 + 0.9899)
    let judged = device(vec![found(Group::RemoteControl, "tool:x", 4.5, 4.3)], &Weights::shipped());
    assert!((judged.posterior - 0.005_185_6).abs() < 1e-6, "{}", judged.posterior);
}

#[test]
fn a_program_and_a_box_are_two_ways_in_and_an_honest_person_has_one() {
    let weights = Weights::shipped();
    let tool = found(Group::RemoteControl, "tool:x", 4.5, 4.3);
    let kvm = found(Group::UsbHid, "kvm", 8.0, 6.0);
    let judged = device(vec![tool.clone(), kvm.clone()], &weights);
    assert!(
        close(judged.llr, 12.5) && close(judged.honest_llr, 6.0 + weights.second_way.honest),
        "{judged:?}"
    );
    for one in [tool, kvm] {
        assert!(close(device(vec![one.clone()], &weights).honest_llr, one.honest_llr));
    }
}

#[test]
fn one_pikvm_seen_three_ways_stays_below_its_cap_and_b_shrinks_with_it() {
    let weights = Weights::shipped();
    let kvm = vec![
        found(Group::UsbHid, "kvm", 8.0, 6.0),
        found(Group::Display, "kvm", 7.7, 5.8),
        found(Group::Input, "kvm", 1.5, 1.2),
    ];
    let judged = device(kvm, &weights);
    assert!(close(judged.llr, 9.0) && close(judged.honest_llr, 13.0 * 9.0 / 17.2), "{judged:?}");
    assert!(judged.posterior < weights.threshold.device, "a homelab is no farm: {}", judged.posterior);
}

#[test]
fn a_pikvm_and_nobodys_hands_in_the_wrong_country_is_an_alert() {
    let weights = Weights::shipped();
    let farm = vec![
        found(Group::UsbHid, "kvm", 8.0, 6.0),
        found(Group::Display, "kvm", 7.7, 5.8),
        found(Group::Hands, "hands", 2.5, 0.5),
        found(Group::Place, "place", 1.5, 0.5),
    ];
    assert!(device(farm, &weights).posterior >= weights.threshold.device);
}

#[test]
fn of_one_group_only_the_strongest_count_for_and_against() {
    let judged = device(
        vec![
            found(Group::Hands, "hands", -4.0, -2.0),
            found(Group::Hands, "hands", -1.0, -1.0),
            found(Group::Hands, "hours", 2.5, 0.5),
            found(Group::Hands, "hours", 1.5, 0.3),
        ],
        &Weights::shipped(),
    );
    assert!(close(judged.llr, -1.5) && close(judged.honest_llr, -1.5), "{judged:?}");
    assert_eq!((judged.bars.len(), judged.findings.len()), (2, 4));
}

#[test]
fn where_a_cause_has_its_cap_another_cause_counts() {
    let judged = device(
        vec![
            found(Group::UsbHid, "kvm", 9.0, 6.0),
            found(Group::Input, "kvm", 1.5, 1.2),
            found(Group::Input, "path", 1.0, 1.0),
        ],
        &Weights::shipped(),
    );
    assert!(close(judged.llr, 10.0), "{judged:?}");
}

#[test]
fn a_couple_at_home_is_no_farm() {
    let weights = Weights::shipped();
    let judged = site(&[], &devices(&[(0.0, 0.0), (0.0, 0.0)]), &weights);
    assert!(close(judged.farm, weights.prior.farm_place), "{judged:?}");
    let typing = site(&[], &devices(&[(-4.0, -2.0), (-4.0, -2.0)]), &weights);
    assert!(typing.farm < judged.farm);
}

#[test]
fn one_strange_laptop_makes_no_farm_of_its_home() {
    let weights = Weights::shipped();
    for llr in [5.0, 10.0, 20.0, 200.0] {
        let alone = site(&[], &devices(&[(llr, 0.0)]), &weights);
        let with_a_partner = site(&[], &devices(&[(llr, 0.0), (0.0, 0.0)]), &weights);
        assert!(alone.farm < weights.threshold.site && with_a_partner.farm < weights.threshold.site, "{llr}");
    }
}

#[test]
fn a_laptop_alone_is_judged_at_a_place_about_as_by_itself() {
    let weights = Weights::shipped();
    let alone = device_posterior(9.0, 2.0, &weights);
    let at_home = site(&[], &devices(&[(9.0, 2.0)]), &weights).devices[&id(0)];
    assert!((alone - at_home).abs() < 0.25, "{alone} {at_home}");
}

#[test]
fn three_unrelated_laptops_with_remote_tools_are_a_farm_and_the_sum_is_as_by_hand() {
    let weights = Weights::shipped();
    let unrelated = PlaceEvidence { rule: "x".into(), farm: 3.0, bench: 0.0, why: String::new() };
    let judged = site(&[unrelated], &devices(&[(7.0, 4.8); 3]), &weights);
    let farm = 1e-4_f64.ln() + 3.0 + 3.0 * (0.8 * 7f64.exp() + 0.2).ln();
    let ordinary = 0.9989_f64.ln() + 3.0 * (1e-4 * 7f64.exp() + 0.01 * 4.8f64.exp() + 0.9899).ln();
    let bench = 1e-3_f64.ln() + 3.0 * (0.5 * 4.8f64.exp() + 0.5).ln();
    let by_hand = farm.exp() / (farm.exp() + ordinary.exp() + bench.exp());
    assert!(close(judged.farm, by_hand) && judged.farm > 0.9, "{} {by_hand}", judged.farm);
    assert!(judged.devices.values().all(|p| *p > 0.9));
}

#[test]
fn its_staging_bench_with_its_own_tools_is_no_farm() {
    let alike = PlaceEvidence { rule: "alike".into(), farm: 0.0, bench: 6.0, why: String::new() };
    let judged = site(&[alike], &devices(&[(4.5, 4.3); 8]), &Weights::shipped());
    assert!(judged.bench > 0.9 && judged.farm < 0.1, "{judged:?}");
}

#[test]
fn a_thousand_devices_at_the_extremes_do_not_overflow() {
    let weights = Weights::shipped();
    for pair in [(20.0, 20.0), (-20.0, -20.0), (20.0, -20.0), (-20.0, 20.0)] {
        let judged = site(&[], &devices(&vec![pair; 1000]), &weights);
        let sum = judged.farm + judged.ordinary + judged.bench;
        assert!(close(sum, 1.0), "{pair:?}: {sum}");
        assert!(judged.devices.values().all(|p| (0.0..=1.0 + 1e-9).contains(p)), "{pair:?}");
        assert!(judged.bars.iter().all(|bar| bar.llr.is_finite()));
    }
}

fn findings() -> impl Strategy<Value = Vec<Finding>> {
    let causes = ["kvm", "tool:a", "tool:b", "hands", "path"];
    let finding = (0..GROUPS.len(), 0..causes.len(), -9.0..9.0f64, -9.0..9.0f64)
        .prop_map(move |(group, cause, llr, honest)| found(GROUPS[group], causes[cause], llr, honest));
    prop::collection::vec(finding, 0..14)
}

proptest! {
    #[test]
    fn more_evidence_for_never_lowers_and_against_never_raises(
        mut some in findings(),
        one in findings(),
    ) {
        let weights = Weights::shipped();
        let before = device(some.clone(), &weights).llr;
        for finding in one {
            let positive = finding.llr > 0.0;
            some.push(finding);
            let after = device(some.clone(), &weights).llr;
            some.pop();
            let holds = if positive { after >= before - 1e-9 } else { after <= before + 1e-9 };
            prop_assert!(holds, "{} {}", before, after);
        }
    }

    #[test]
    fn the_order_of_findings_does_not_matter(mut some in findings()) {
        let weights = Weights::shipped();
        let before = device(some.clone(), &weights).llr;
        some.reverse();
        prop_assert!(close(before, device(some, &weights).llr));
    }

    #[test]
    fn no_cause_exceeds_its_cap_and_the_bars_sum_to_the_whole(some in findings()) {
        let weights = Weights::shipped();
        let judged = device(some, &weights);
        prop_assert!(close(judged.llr, judged.bars.iter().map(|bar| bar.llr).sum()));
        let kvm = judged.bars.iter().filter(|bar| bar.rule == "test.kvm" && bar.llr > 0.0);
        prop_assert!(kvm.map(|bar| bar.llr).sum::<f64>() <= weights.cap["kvm"] + 1e-9);
        prop_assert!((0.0..=1.0).contains(&judged.posterior));
    }

    #[test]
    fn the_posterior_rises_with_what_speaks_for_a_farm_more_than_for_honesty(
        llr in -30.0..30.0f64, honest in -30.0..30.0f64, more in 0.0..9.0f64, less in 0.0..1.0f64,
    ) {
        let weights = Weights::shipped();
        let before = device_posterior(llr, honest, &weights);
        let after = device_posterior(llr + more, honest + more * less, &weights);
        prop_assert!(after >= before - 1e-12);
    }

    #[test]
    fn a_sites_bars_sum_to_its_odds_and_more_suspicion_raises_it(
        pairs in prop::collection::vec((-6.0..9.0f64, -4.0..7.0f64), 1..8),
        farm in -3.0..5.0f64,
        bench in -3.0..5.0f64,
        more in 0.0..5.0f64,
    ) {
        let weights = Weights::shipped();
        let evidence = PlaceEvidence { rule: "x".into(), farm, bench, why: String::new() };
        let judged = site(std::slice::from_ref(&evidence), &devices(&pairs), &weights);
        let odds = (judged.farm / (judged.ordinary + judged.bench)).ln();
        let sum: f64 = judged.bars.iter().map(|bar| bar.llr).sum();
        prop_assert!((sum - odds).abs() < 1e-6, "{} {}", sum, odds);
        let mut raised = pairs.clone();
        raised[0].0 += more;
        let after = site(&[evidence], &devices(&raised), &weights);
        prop_assert!(after.farm >= judged.farm - 1e-9);
    }
}

/// The figures of a page's table, by their row's first words.
fn figures(page: &str) -> BTreeMap<&str, f64> {
    let cells = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?, cells.next()?.trim_end_matches(" |").parse().ok()?))
    });
    cells.collect()
}

#[test]
fn the_documents_example_is_what_the_model_says() {
    let weights = Weights::shipped();
    let page = figures(include_str!("../../../docs/model.md"));
    let finding = |group, rule: &str, cause: &str| {
        let pair = &weights.rule[rule];
        Finding { rule: rule.into(), ..found(group, cause, pair.farm, pair.honest) }
    };
    let facts = vec![
        finding(Group::RemoteControl, "remote_control.unattended", "tool:anydesk"),
        finding(Group::Input, "input.only_software", "injected"),
    ];
    let laptop = device(facts, &weights);
    let twin = laptop.bars.iter().find(|bar| bar.rule == "twin.drawer").unwrap();
    let one_pair = &weights.place["place.one_pair"];
    let (farm, bench) = (one_pair.farm, one_pair.bench);
    let evidence = [PlaceEvidence { rule: "place.one_pair".into(), farm, bench, why: String::new() }];
    let place = site(&evidence, &devices(&[(laptop.llr, laptop.honest_llr); 2]), &weights);
    let computed = [
        ("laptop: `remote_control.unattended`, Λ", weights.rule["remote_control.unattended"].farm),
        ("laptop: `remote_control.unattended`, B", weights.rule["remote_control.unattended"].honest),
        ("laptop: `input.only_software`, Λ", weights.rule["input.only_software"].farm),
        ("laptop: `input.only_software`, B", weights.rule["input.only_software"].honest),
        ("laptop: what a drawer explains beside, B", twin.honest_llr.unwrap()),
        ("laptop: sum, Λ", laptop.llr),
        ("laptop: sum, B", laptop.honest_llr),
        ("laptop: P(farm-operated), alone", laptop.posterior),
        ("place: prior", place.bars[0].llr),
        ("place: `place.one_pair`", place.bars[1].llr),
        ("place: each laptop", place.bars[2].llr),
        ("place: P(farm)", place.farm),
        ("place: P(farm-operated) of each, in it", place.devices[&id(0)]),
    ];
    let wrong: Vec<_> = computed
        .iter()
        .filter(|(row, is)| page.get(row).is_none_or(|said| (said - is).abs() > 0.0051))
        .collect();
    assert!(wrong.is_empty(), "docs/model.md says otherwise: {wrong:?}");
}

#[test]
fn what_is_kept_of_a_judgement_reads_as_it_was_to_the_bit() {
    for n in 1..500 {
        let llr = f64::from(n).sqrt() / 7.0;
        let judged =
            Judged { llr, honest_llr: -llr / 3.0, posterior: 1.0 / (1.0 + llr.exp()), ..Judged::default() };
        let kept = serde_json::to_string(&judged).unwrap();
        assert_eq!(serde_json::from_str::<Judged>(&kept).unwrap(), judged, "{kept}");
    }
}

#[test]
fn one_pair_of_hands_makes_a_farm_of_laptops_that_stand_apart_where_a_farm_explains_them_better() {
    let weights = Weights::shipped();
    let pair = &weights.place["place.one_pair"];
    let evidence = PlaceEvidence { rule: "x".into(), farm: pair.farm, bench: 0.0, why: String::new() };
    let of = |llr, honest| {
        let apart: Vec<_> = (0..2).map(|n| OwnFacts::of_chosen(id(n), llr, honest)).collect();
        site(std::slice::from_ref(&evidence), &apart, &weights)
    };
    let judged = of(6.0, 5.0);
    assert!(judged.farm > weights.threshold.site, "{judged:?}");
    assert!(judged.bars.iter().any(|bar| bar.why.contains("only Λ − B counts, 6.0 − 5.0")), "{judged:?}");
    assert!(of(5.0, 7.0).farm < weights.threshold.site, "honest remote work explains them better");
}

#[test]
fn the_bars_of_a_place_have_names_of_their_own() {
    let evidence =
        |rule: &str| PlaceEvidence { rule: rule.into(), farm: 1.0, bench: 0.0, why: String::new() };
    let place = ["place.unrelated_4", "place.one_pair", "place.concealment"].map(evidence);
    let judged = site(&place, &[], &Weights::shipped());
    let labels: Vec<&str> = judged.bars.iter().map(|bar| bar.label.as_str()).collect();
    assert_eq!(labels, ["Prior", "Unrelated", "One pair", "Concealment", "Bench"]);
}
