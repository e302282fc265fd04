use std::collections::BTreeMap;

use farmwatch_shared::facts::{Source, SourceKind, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::judge::{self, JudgedSite, OwnFacts};
use farmwatch_shared::usage::Usage;
use farmwatch_shared::weights::Weights;
use jiff::Timestamp;
use proptest::prelude::*;

use super::super::same_place::Counts;
use super::super::view::{Beside, Member, SiteView};
use super::of;
use crate::store::{Anchor, AnchorKind, AnchorSeen, Asset, Occupant, Standing};

const DAY: i64 = 24 * 3600;

fn day(number: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + number * DAY).unwrap()
}

fn member(number: u128, user: &str, anchors: &[(AnchorKind, &str)], address: &str) -> Occupant {
    let id = DeviceId::new(1, number);
    let anchors = anchors.iter().map(|(kind, value)| AnchorSeen {
        anchor: Anchor { kind: *kind, value: (*value).into() },
        first_seen: day(0),
        last_seen: day(0),
        current: true,
    });
    let asset = (!user.is_empty()).then(|| Asset { user: user.into(), ..Asset::default() });
    Occupant {
        anchors: anchors.collect(),
        id,
        asset,
        standing: Standing::Enrolled,
        enrolled_at: day(-100),
        last_seen: day(1000),
        public_address: address.parse().ok(),
        site: None,
        llr: 0.0,
        honest_llr: 0.0,
    }
}

struct Place {
    members: Vec<Occupant>,
    counts: Counts,
    rhythms: BTreeMap<DeviceId, Usage>,
    has_assets: bool,
    weights: Weights,
}

impl Place {
    fn new(members: Vec<Occupant>) -> Self {
        Self {
            members,
            counts: Counts::default(),
            rhythms: BTreeMap::new(),
            has_assets: true,
            weights: Weights::shipped(),
        }
    }

    fn view(&self, now: Timestamp) -> SiteView<'_> {
        let members = self.members.iter().map(|one| Member::new(one, one.public_address, true));
        let (counts, rhythms, weights) = (&self.counts, &self.rhythms, &self.weights);
        let beside = Beside { counts, rhythms, has_assets: self.has_assets, weights, now };
        SiteView::new(members.collect(), beside)
    }

    fn rules(&self, now: Timestamp) -> Vec<String> {
        of(&self.view(now)).into_iter().map(|evidence| evidence.rule).collect()
    }

    fn judged(&self, now: Timestamp, llr: f64, honest: f64) -> JudgedSite {
        let devices: Vec<_> = self.members.iter().map(|m| OwnFacts::of(m.id.clone(), llr, honest)).collect();
        judge::site(&of(&self.view(now)), &devices, &self.weights)
    }
}

const HOME: (AnchorKind, &str) = (AnchorKind::Gateway, "home");

fn home(people: &[&str]) -> Place {
    let member = |(number, user): (usize, &&str)| member(number as u128, user, &[HOME], "203.0.113.7");
    Place::new(people.iter().enumerate().map(member).collect())
}

#[test]
fn a_couple_at_home_with_neutral_facts_never_alerts() {
    for now in [0, 30, 400] {
        let couple = home(&["Ana Berg", "Bo Quist"]);
        assert_eq!(couple.rules(day(now)), Vec::<String>::new());
        assert!(couple.judged(day(now), 0.0, 0.0).farm < 1e-3);
    }
}

#[test]
fn more_co_location_beyond_certainty_changes_nothing() {
    let more: Vec<(AnchorKind, &str)> = [HOME]
        .into_iter()
        .chain([(AnchorKind::PublicAddress, "203.0.113.7"), (AnchorKind::Neighbour, "printer")])
        .collect();
    let one = home(&["Ana Berg", "Bo Quist", "Cy Lund"]);
    let all = Place::new(
        one.members
            .iter()
            .map(|m| Occupant { anchors: member(0, "", &more, "203.0.113.7").anchors, ..m.clone() })
            .collect(),
    );
    let farm = |place: &Place| place.judged(day(20), 4.5, 4.3).farm;
    assert!((farm(&one) - farm(&all)).abs() < 1e-12);
}

/// What shows that laptops are together, of every kind that says where: some of it both's, with how many show it.
fn whereabouts() -> impl Strategy<Value = Vec<(AnchorKind, String, u64)>> {
    let kind = prop::sample::select(vec![
        AnchorKind::PublicAddress,
        AnchorKind::Gateway,
        AnchorKind::DhcpServer,
        AnchorKind::Neighbour,
        AnchorKind::UsbSerial,
        AnchorKind::DisplaySerial,
        AnchorKind::Outage,
        AnchorKind::ShippedTo,
    ]);
    prop::collection::vec((kind, "[a-z]{3}", 2..5000u64), 0..40)
}

/// They show each of these, since a day and until now or until then.
fn also(place: &Place, more: &[(AnchorKind, String, u64)], since: i64, current: bool) -> Place {
    let seen = |kind, value: &str| AnchorSeen {
        anchor: Anchor { kind, value: value.to_owned() },
        first_seen: day(since),
        last_seen: day(since),
        current,
    };
    let members = place.members.iter().map(|one| {
        let mut one = one.clone();
        one.anchors.extend(more.iter().map(|(kind, value, _)| seen(*kind, value)));
        one
    });
    let counts = more.iter().map(|(kind, value, n)| (Anchor { kind: *kind, value: value.clone() }, *n));
    let mut new = Place::new(members.collect());
    new.counts = place.counts.clone().into_iter().chain(counts).collect();
    new
}

proptest! {
    /// Whatever shows that they are together, and for however long: that they are is no evidence of a farm.
    #[test]
    fn a_couple_with_neutral_facts_never_alerts(
        now in whereabouts(),
        before in whereabouts(),
        since in 0..300i64,
        days in 0..700i64,
        users in prop::sample::select(vec![["Ana Berg", "Bo Quist"], ["Ana Berg", "Bo Berg"], ["", ""]]),
        has_assets: bool,
    ) {
        let mut couple = also(&also(&home(&users), &now, since, true), &before, since / 2, false);
        couple.has_assets = has_assets;
        let judged = couple.judged(day(since + days), 0.0, 0.0);
        prop_assert!(judged.farm < couple.weights.threshold.site / 10.0, "{judged:?}");
    }

    /// Beyond certainty, more of what shows that they are together moves nothing: only things that go from hand to hand,
    /// docks and screens, are evidence of another kind.
    #[test]
    fn more_co_location_evidence_moves_no_probability(
        more in whereabouts(),
        people in 2..6usize,
        days in 0..60i64,
        llr in -3.0..8.0f64,
        honest in -3.0..8.0f64,
    ) {
        let names = ["Ana Berg", "Bo Quist", "Cy Lund", "Di Holm", "Ed Vik"];
        let place = home(&names[..people]);
        let places = |(kind, ..): &(AnchorKind, String, u64)| {
            !matches!(kind, AnchorKind::UsbSerial | AnchorKind::DisplaySerial)
        };
        let more: Vec<_> = more.into_iter().filter(places).collect();
        let (one, all) = (place.judged(day(days), llr, honest), also(&place, &more, 0, true).judged(day(days), llr, honest));
        prop_assert!((one.farm - all.farm).abs() < 1e-9, "{one:?} {all:?}");
    }
}

#[test]
fn three_strangers_for_a_week_speak_and_a_family_does_not() {
    let three = home(&["Ana Berg", "Bo Quist", "Cy Lund"]);
    assert_eq!(three.rules(day(7)), ["place.unrelated_3", "place.unremarkable"]);
    let family = home(&["Ana Berg", "Bo Berg", "c.berg@example.com"]);
    assert_eq!(family.rules(day(7)), ["place.unremarkable"]);
}

#[test]
fn what_a_few_of_many_show_makes_no_farm_of_an_office_and_a_farm_of_some_that_show_nothing_stays_one() {
    let farm = |laptops: usize, show: usize| {
        let names: Vec<String> = (0..laptops).map(|n| format!("Anna Berg{n}")).collect();
        let mut place = home(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for member in place.members.iter_mut().take(show) {
            (member.llr, member.honest_llr) = (4.5, 4.3);
        }
        let own = |m: &Occupant| OwnFacts::of(m.id.clone(), m.llr, m.honest_llr);
        let devices: Vec<_> = place.members.iter().map(own).collect();
        judge::site(&of(&place.view(day(0))), &devices, &place.weights).farm
    };
    assert!(farm(40, 4) < 1e-3, "an open tool here and there");
    assert!(farm(200, 20) < 1e-3, "as many of all, in a large office on its first day");
    assert!(farm(8, 5) > 0.5, "eight on the first day, of which five show something");
}

#[test]
fn a_short_meeting_counts_less_than_a_week() {
    let five = home(&["Ana Berg", "Bo Quist", "Cy Lund", "Di Holm", "Ed Vik"]);
    let says = |now| of(&five.view(now))[0].farm;
    assert!(says(day(0)).abs() < 1e-9);
    assert!((says(day(7)) - 5.0).abs() < 1e-9);
}

#[test]
fn days_on_which_nobody_is_heard_add_nothing() {
    let mut five = home(&["Ana Berg", "Bo Quist", "Cy Lund", "Di Holm", "Ed Vik"]);
    let says = |place: &Place, now| of(&place.view(now))[0].farm;
    let after_a_day = says(&five, day(1));
    five.members.iter_mut().for_each(|one| one.last_seen = day(1));
    assert_eq!(says(&five, day(7)).to_bits(), after_a_day.to_bits());
    five.members[0].last_seen = day(7);
    assert_eq!(
        says(&five, day(7)).to_bits(),
        after_a_day.to_bits(),
        "one of five knows nothing of the others"
    );
}

#[test]
fn three_that_are_worked_on_through_tools_alert_and_three_with_tools_alone_may_be_on_its_bench() {
    let three = home(&["Ana Berg", "Bo Quist", "Cy Lund"]);
    // A tool that waits and input of software on every day, beside what a drawer explains of it.
    assert!(three.judged(day(7), 10.5, 9.1).farm > 0.9);
    let tools = three.judged(day(7), 4.5, 4.3);
    assert!((0.1..0.5).contains(&tools.farm) && tools.bench > 0.5, "{tools:?}");
    assert!(three.judged(day(7), 0.0, 0.0).farm < 0.01);
}

#[test]
fn an_address_for_each_of_a_place_is_concealment_and_one_of_a_couple_on_a_vpn_is_not() {
    let own = |n: u128, address: &str| member(n, &format!("P{n} N{n}"), &[HOME], address);
    let farm = Place::new(vec![own(1, "203.0.113.7"), own(2, "198.51.100.1"), own(3, "192.0.2.9")]);
    assert!(farm.rules(day(1)).contains(&"place.concealment".to_owned()));
    let couple = Place::new(vec![own(1, "203.0.113.7"), own(2, "198.51.100.1")]);
    assert_eq!(couple.rules(day(1)), Vec::<String>::new());
    let flat = Place::new(vec![own(1, "203.0.113.7"), own(2, "203.0.113.7"), own(3, "2001:db8::1")]);
    assert!(!flat.rules(day(1)).contains(&"place.concealment".to_owned()));
}

#[test]
fn laptops_that_never_leave_say_so_after_weeks_unless_one_travels() {
    let mut three = home(&["Ana Berg", "Bo Quist", "Cy Lund"]);
    assert!(!three.rules(day(10)).contains(&"place.never_apart".to_owned()));
    assert!(three.rules(day(30)).contains(&"place.never_apart".to_owned()));
    let mut train = three.members[0].anchors[0].clone();
    train.anchor.value = "train".into();
    train.current = false;
    three.members[0].anchors.push(train);
    assert!(!three.rules(day(30)).contains(&"place.never_apart".to_owned()));
}

#[test]
fn one_account_behind_two_people_speaks_and_a_forgotten_tenant_hardly() {
    let account = (AnchorKind::ToolAccount, "anydesk/77");
    let with = |user: &str, n| member(n, user, &[HOME, account], "203.0.113.7");
    let mut two = Place::new(vec![with("Ana Berg", 1), with("Bo Quist", 2)]);
    let says = |place: &Place| {
        of(&place.view(day(1))).into_iter().find(|e| e.rule == "place.shared_account").map_or(0.0, |e| e.farm)
    };
    assert!((says(&two) - 7.0).abs() < 1e-9);
    two.counts.insert(Anchor { kind: account.0, value: account.1.into() }, 40);
    assert!(says(&two) < 0.5);
    assert!(says(&Place::new(vec![with("Ana Berg", 1), with("Ana Berg", 2)])) < 1e-9);
}

#[test]
fn a_shared_dock_of_a_couple_is_innocent_and_one_of_three_strangers_speaks() {
    let dock = (AnchorKind::UsbSerial, "17ef:a396/5");
    let with = |user: &str, n| member(n, user, &[HOME, dock], "203.0.113.7");
    let couple = Place::new(vec![with("Ana Berg", 1), with("Bo Quist", 2)]);
    assert_eq!(couple.rules(day(1)), Vec::<String>::new());
    let three = Place::new(vec![with("Ana Berg", 1), with("Bo Quist", 2), with("Cy Lund", 3)]);
    assert!(three.rules(day(1)).contains(&"place.shared_thing".to_owned()));
}

#[test]
fn a_shelf_of_new_laptops_is_its_bench() {
    let mut shelf = home(&["", "", "", "", ""]);
    for member in &mut shelf.members {
        member.enrolled_at = day(-1);
    }
    assert!(shelf.rules(day(1)).contains(&"place.stock".to_owned()));
    let judged = shelf.judged(day(7), 4.5, 4.3);
    assert!(judged.bench > 0.5 && judged.farm < 0.5, "{judged:?}");
    let of_people = |shelf: &mut Place, count: usize| {
        for member in &mut shelf.members[..count] {
            member.asset = Some(Asset { user: "Ana Berg".into(), ..Asset::default() });
        }
        shelf.rules(day(1)).contains(&"place.stock".to_owned())
    };
    assert!(of_people(&mut shelf, 1), "one that came back");
    assert!(!of_people(&mut shelf, 2));
    shelf.has_assets = false;
    assert!(!shelf.rules(day(1)).contains(&"place.stock".to_owned()));
}

/// The window number `n` since 1970, with input of one kind.
fn window(n: i64, kind: SourceKind) -> Window {
    let source = Source { active_seconds: 60, ..Source::default() };
    Window {
        start: Timestamp::from_second(n * Window::SECONDS).unwrap(),
        observed_seconds: 300,
        sources: [(kind, source)].into(),
        injected_seconds: 0,
        absolute_permille: 0,
        periodic_permille: 0,
        pointer_centinats: None,
    }
}

/// Days on which each of two laptops is worked on: in which five-minute windows of a day of eight hours.
fn worked(place: &mut Place, days: i64, of: impl Fn(usize, i64) -> bool) {
    for (index, member) in place.members.iter().enumerate() {
        let usage = place.rhythms.entry(member.id.clone()).or_default();
        for day in 0..days {
            let windows = (0..96).filter(|n| of(index, *n)).map(|n| window(day * 288 + n, SourceKind::Usb));
            windows.for_each(|window| assert!(usage.add(&window)));
        }
    }
}

#[test]
fn laptops_that_are_worked_on_in_turns_have_one_pair_of_hands_and_people_at_their_own_do_not() {
    let says = |of: &dyn Fn(usize, i64) -> bool, days| {
        let mut two = home(&["Ana Berg", "Bo Quist"]);
        worked(&mut two, days, of);
        two.rules(day(9)).contains(&"place.one_pair".to_owned())
    };
    let in_turns = |index: usize, n: i64| (n / 12) % 2 == i64::try_from(index).unwrap();
    assert!(says(&in_turns, 5));
    assert!(!says(&in_turns, 2), "two days say nothing yet");
    assert!(!says(&|_, n| n % 3 != 0, 5), "both work all day");
    assert!(!says(&|index, n| (n < 48) == (index == 0), 5), "shifts change once");
    let chance = |index: usize, n: i64| (n * 7919 + i64::try_from(index).unwrap() * 104_729) % 97 < 40;
    assert!(!says(&chance, 14), "as chance has it");
}

#[test]
fn laptops_that_nobody_works_on_are_at_rest_and_those_of_a_farm_or_a_weekend_are_not() {
    let says = |windows: i64, now: i64, llr: f64| {
        let mut four = home(&["Ana Berg", "Bo Quist", "Cy Lund", "Di Holm"]);
        let today = day(0).as_second() / DAY;
        for member in &mut four.members {
            member.llr = llr;
            let slots = (today..today + now).flat_map(|day| (0..windows).map(move |n| day * 288 + n));
            let seen: Vec<Window> = slots.map(|n| window(n, SourceKind::Usb)).collect();
            four.rhythms.insert(member.id.clone(), Usage::of(&seen));
        }
        four.rules(day(now)).contains(&"place.at_rest".to_owned())
    };
    assert!(says(6, 6, 1.0));
    assert!(!says(90, 6, 1.0), "worked on");
    assert!(!says(6, 3, 1.0), "a weekend");
    assert!(!says(0, 6, 1.0), "input may be out of sight");
    assert!(!says(6, 6, 4.5), "a way in, and what comes through it may be out of sight");
}

#[test]
fn one_person_at_two_own_laptops_is_no_farm() {
    let mut own = home(&["Ana Berg", "Ana Berg"]);
    worked(&mut own, 9, |index, n| (n / 12) % 2 == i64::try_from(index).unwrap());
    assert!(!own.rules(day(9)).contains(&"place.one_pair".to_owned()));
}

#[test]
fn touches_that_go_from_laptop_to_laptop_are_a_round_and_people_who_type_are_not() {
    let mut three = home(&["Ana Berg", "Bo Quist", "Cy Lund"]);
    let touch = |place: &mut Place, at: &dyn Fn(i64) -> Vec<i64>| {
        for (index, member) in (0i64..).zip(&place.members) {
            let days = (0..5).flat_map(|day| at(index).into_iter().map(move |n| day * 288 + n));
            let windows: Vec<Window> = days.map(|n| window(n, SourceKind::BuiltIn)).collect();
            place.rhythms.insert(member.id.clone(), Usage::of(&windows));
        }
        place.rules(day(9)).contains(&"place.round_of_hands".to_owned())
    };
    assert!(touch(&mut three, &|index| vec![80 + index]));
    assert!(!touch(&mut three, &|index| vec![80 + 20 * index]), "at other times");
    assert!(!touch(&mut three, &|index| (80 + index..120).collect()), "they type");
}

#[test]
fn other_companies_laptops_speak_where_they_stay_and_a_flats_do_not() {
    let with = |count: usize, since: i64| {
        let near: Vec<String> = (0..count).map(|n| format!("8c8caa/{n}")).collect();
        let mut anchors = vec![HOME];
        anchors.extend(near.iter().map(|value| (AnchorKind::Neighbour, value.as_str())));
        let two = ["Ana Berg", "Bo Quist"]
            .iter()
            .zip(1..)
            .map(|(user, n)| member(n, user, &anchors, "203.0.113.7"));
        Place::new(two.collect()).rules(day(since)).contains(&"place.other_companies".to_owned())
    };
    assert!(with(12, 2));
    assert!(!with(12, 0), "guests");
    assert!(!with(6, 2), "flatmates, and ours");
    let things: Vec<String> = (0..30).map(|n| format!("b827eb/{n}")).collect();
    let things: Vec<_> = things.iter().map(|value| (AnchorKind::Neighbour, value.as_str())).collect();
    let home = Place::new(vec![member(1, "Ana Berg", &things, ""), member(2, "Bo Quist", &things, "")]);
    assert_eq!(home.rules(day(2)), Vec::<String>::new());
}

#[test]
fn people_who_come_and_go_make_it_a_workplace() {
    let mut office = home(&["Ana Berg", "Bo Quist", "Cy Lund", "Di Holm"]);
    let at = |office: &mut Place, index: usize, days: i64| {
        let mut other = office.members[index].anchors[0].clone();
        other.anchor.value = format!("flat {index}");
        (other.current, other.last_seen) = (false, day(days));
        office.members[index].anchors.push(other);
    };
    at(&mut office, 0, 5);
    assert!(!office.rules(day(9)).contains(&"place.workplace".to_owned()));
    at(&mut office, 1, 0);
    assert!(!office.rules(day(9)).contains(&"place.workplace".to_owned()), "a café is left after hours");
    at(&mut office, 2, 7);
    assert!(office.rules(day(9)).contains(&"place.workplace".to_owned()));
    assert!(office.judged(day(9), 0.0, 0.0).farm < 1e-4);
}
