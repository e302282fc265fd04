use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use farmwatch_collector::app::App;
use farmwatch_collector::policy::Policy;
use farmwatch_collector::replay::Replay;
use farmwatch_collector::store::sqlite;
use farmwatch_shared::facts::{SourceKind, TransitionKind};
use farmwatch_shared::state::{Delta, State};

use super::*;

fn until() -> Timestamp {
    "2026-11-20T00:00:00Z".parse().unwrap()
}

fn fleet(over: &str, seed: u64, days: u32) -> Fleet {
    Fleet::new(Parameters::with(over).unwrap(), seed, days, until()).unwrap()
}

fn lines(fleet: Fleet) -> Vec<Line> {
    let mut lines = Vec::new();
    let taken = fleet.live(|line| {
        lines.push(line);
        Ok::<_, Infallible>(())
    });
    taken.unwrap();
    lines
}

/// A fleet with everything in it that rates.toml knows, so often that a small one has it.
const MIXED: &str = "
    [fleet]
    laptops = 400
    [people]
    nomads = 0.1
    replaced = 0.2
    reissued = 0.1
    reimaged = 0.1
    [groups]
    flatmates = 0.02
    agencies = 0.03
    dorms = 0.02
    ships = 0.02
    repair = 0.1
    offsite = 0.2
    data_centre = 0.02
    [tools]
    in_use = 0.05
    always_remote = 0.03
    software_kvm = 0.03
    family_help = 0.1
    developers = 0.05
    [things]
    two_jobs_kvm = 0.03
    homelab_kvm = 0.05
    [agents]
    offline = 0.3
    clock_off = 0.05
    clock_far = 0.02
    [farms]
    drawn = 12
    adapted = 0.5
    bluetooth = 0.5
    blinded = 0.3
    stopped = 0.3
";

#[test]
fn one_seed_gives_one_fleet_and_another_another() {
    let text = |seed| serde_json::to_string(&lines(fleet(MIXED, seed, 3))).unwrap();
    let first = text(1);
    assert_eq!(first, text(1));
    assert_ne!(first, text(2));
}

#[test]
fn lines_come_in_order_of_time_each_laptop_numbered_with_its_digest_and_at_most_thirty_a_day() {
    let mut states: BTreeMap<DeviceId, (u64, State)> = BTreeMap::new();
    let mut a_day: BTreeMap<(DeviceId, i64), usize> = BTreeMap::new();
    let mut last = Timestamp::MIN;
    for line in lines(fleet(MIXED, 7, 10)) {
        assert!(line.received_at >= last);
        last = line.received_at;
        let (seq, state) = states.entry(line.report.device.clone()).or_default();
        assert_eq!(line.report.whole, *seq == 0);
        *seq += 1;
        assert_eq!(line.report.seq, *seq);
        state.apply(Delta { set: line.report.set.clone(), gone: line.report.gone.clone() });
        assert_eq!(state.digest(), line.report.digest, "{line:?}");
        *a_day.entry((line.report.device, line.received_at.as_second().div_euclid(DAY))).or_default() += 1;
    }
    assert!(states.len() > 380, "{}", states.len());
    // Days of agents are those where their people live; a day of ours may have parts of two.
    let most = a_day.values().max().unwrap();
    assert!(*most <= moments::MOST, "{most}");
}

#[test]
fn every_laptop_has_its_label_and_every_farm_its_laptops() {
    let fleet = fleet(MIXED, 3, 14);
    let devices: BTreeSet<DeviceId> = fleet.devices().collect();
    let labels: Vec<Label> = fleet.labels().collect();
    assert_eq!(labels.iter().map(|label| label.device.clone()).collect::<BTreeSet<_>>(), devices);
    let mut farms: BTreeMap<u32, u32> = BTreeMap::new();
    for label in &labels {
        assert_eq!(label.farm.is_some(), label.site == Group::Farm);
        assert_eq!(
            (label.shape.is_some(), label.in_use_from.is_some()),
            (label.farm.is_some(), label.farm.is_some())
        );
        if let (Some(farm), Some(shape)) = (label.farm, label.shape) {
            *farms.entry(farm).or_default() += 1;
            assert!(shape.laptops >= 1);
        }
    }
    assert_eq!(farms.len(), 12);
    let sites: BTreeSet<Group> = labels.iter().map(|label| label.site).collect();
    for group in [Group::Couple, Group::Flat, Group::Agency, Group::Dorm, Group::Ship, Group::Coworking] {
        assert!(sites.contains(&group), "{group:?}");
    }
    let twins: BTreeSet<&str> = labels.iter().flat_map(|label| label.twins.clone()).collect();
    assert!(twins.len() > 25, "{twins:?}");
}

#[test]
fn couples_share_an_address_at_home_and_are_seen_apart() {
    let over = "[fleet]\nlaptops = 200\nalways_on_vpn = 0.0\ncorporate_vpn = 0.0\n[groups]\ncouples = 1.0\n\
                [networks]\npersonal_vpn = 0.0\nipv6 = 0.0\ncgn = 0.0";
    let fleet = fleet(over, 5, 5);
    let couples: Vec<DeviceId> =
        fleet.labels().filter(|l| l.site == Group::Couple).map(|l| l.device).collect();
    let mut seen: BTreeMap<DeviceId, BTreeSet<std::net::IpAddr>> = BTreeMap::new();
    for line in lines(fleet) {
        seen.entry(line.report.device).or_default().insert(line.source_ip);
    }
    let (mut together, mut apart) = (0, 0);
    for pair in couples.chunks(2) {
        let [one, other] = [&pair[0], &pair[1]].map(|id| seen.get(id).cloned().unwrap_or_default());
        together += one.intersection(&other).count().min(1);
        apart += one.symmetric_difference(&other).count().min(1);
    }
    assert!(together > 50 && apart > 50, "of {}: {together} together, {apart} apart", couples.len() / 2);
}

#[test]
fn a_power_cut_hits_a_street_in_one_second() {
    let over = "[fleet]\nlaptops = 300\n[networks]\npower_cuts_a_year = 60.0\n[agents]\nclock_off = 0.0\nclock_far = 0.0";
    let mut cuts: BTreeMap<i64, BTreeSet<DeviceId>> = BTreeMap::new();
    for line in lines(fleet(over, 1, 5)) {
        for change in line.report.transitions.iter().filter(|t| t.kind == TransitionKind::MainsLost) {
            // Clocks are off by a second.
            cuts.entry(change.at.as_second() / 4).or_default().insert(line.report.device.clone());
        }
    }
    let most = cuts.values().map(BTreeSet::len).max().unwrap_or(0);
    assert!(most >= 3, "{most}");
}

/// Thirty days of a hundred thousand laptops: what is held does not turn on how much was told.
#[test]
fn a_hundred_thousand_laptops_stream_in_little_memory() {
    // Nothing of a laptop lies elsewhere.
    fn holds_nothing_elsewhere<T: Copy>() -> usize {
        size_of::<T>()
    }
    assert!(holds_nothing_elsewhere::<laptop::Told>() + holds_nothing_elsewhere::<laptop::Life>() <= 400);
    let before = resident_megabytes();
    let mut left = 20_000;
    let taken = fleet("[fleet]\nlaptops = 100000", 1, 30).live(|_| {
        left -= 1;
        if left == 0 { Err(()) } else { Ok(()) }
    });
    assert_eq!(taken, Err(()), "too few lines");
    let grown = resident_megabytes() - before;
    // Other tests may run in this process.
    assert!(grown < 400.0, "{grown} MB");
}

fn resident_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// When laptops lost their mains, by farm and second.
fn mains_lost(care: &str) -> BTreeMap<i64, BTreeSet<DeviceId>> {
    let over = format!(
        "[fleet]\nlaptops = 8\n[networks]\npower_cuts_a_year = 300.0\n[groups]\nbench = 0\n[farms]\ntimers = 1.0\nstopped = 0.0\n\
         [[farm]]\nlaptops = 8\nstyle = \"kvm\"\ncare = \"{care}\""
    );
    let mut lost: BTreeMap<i64, BTreeSet<DeviceId>> = BTreeMap::new();
    for line in lines(fleet(&over, 4, 6)) {
        for change in line.report.transitions.iter().filter(|t| t.kind == TransitionKind::MainsLost) {
            lost.entry(change.at.as_second() / 4).or_default().insert(line.report.device.clone());
        }
    }
    lost
}

#[test]
fn a_farm_loses_its_mains_as_one_and_an_adapted_one_by_timers() {
    let most = |care| mains_lost(care).values().map(BTreeSet::len).max().unwrap_or(0);
    assert_eq!(most("careless"), 8);
    assert!(most("adapted") < 8, "{}", most("adapted"));
    assert!(mains_lost("adapted").len() > 40, "timers go off twice a day on each of eight laptops");
}

#[test]
fn who_goes_to_the_office_changes_networks_and_who_stays_does_not() {
    let days = |office: f64| {
        let over = format!(
            "[fleet]\nlaptops = 60\n[people]\noffice = {office}\nhybrid = 0.0\ncoworking = 0.0\nnomads = 0.0\ntrips = 0.0\n\
             cafe = 0.0\nmoves = 0.0\nreissued = 0.0\nreimaged = 0.0\nvacation = 0.0\n[groups]\ncouples = 0.0\nthrees = 0.0\nbench = 0\n\
             flatmates = 0.0\nagencies = 0.0\ndorms = 0.0\nships = 0.0\nrepair = 0.0\noffsite = 0.0\ndata_centre = 0.0\n\
             [networks]\nrouter_replaced = 0.0"
        );
        let all = lines(fleet(&over, 2, 10));
        let changes = all.iter().flat_map(|line| &line.report.transitions);
        changes.filter(|t| t.kind == TransitionKind::NetworkChanged).count()
    };
    assert_eq!(days(0.0), 0);
    assert!(days(1.0) > 60, "{}", days(1.0));
}

#[test]
fn one_operators_two_laptops_are_never_worked_on_in_one_window() {
    let over = "[fleet]\nlaptops = 2\n[groups]\nbench = 0\n[[farm]]\nlaptops = 2\nstyle = \"kvm\"\ncare = \"careful\"";
    let mut worked: BTreeMap<DeviceId, BTreeSet<i64>> = BTreeMap::new();
    for line in lines(fleet(over, 6, 6)) {
        // The first day is the facilitator's: each laptop is tried out.
        let from = until().as_second() - 5 * DAY;
        let long = line.report.windows.iter().filter(|w| w.active_seconds() >= 30 && w.absolute_permille > 0);
        let starts = long.map(|w| w.start.as_second()).filter(|start| *start >= from);
        worked.entry(line.report.device).or_default().extend(starts);
    }
    let [one, other] = [0, 1].map(|n| worked.values().nth(n).unwrap());
    assert!(one.len() > 50 && other.len() > 50, "{} and {}", one.len(), other.len());
    let both = one.intersection(other).count();
    // The window in which a turn ends is the next one's too.
    assert!(both * 5 < one.len(), "{both} of {}", one.len());
}

/// Laptops whose labels name a twin.
fn of_twin(fleet: &Fleet, twin: &str) -> BTreeSet<DeviceId> {
    fleet.labels().filter(|label| label.twins.contains(&twin)).map(|label| label.device).collect()
}

#[test]
fn a_laptop_in_a_drawer_is_worked_on_every_day_and_hardly_ever_touched() {
    let over = "[fleet]\nlaptops = 20\n[groups]\nbench = 0\noffsite = 0.0\nrepair = 0.0\n[people]\nvacation = 0.0\n\
                [agents]\nblind = 0.0\noffline = 0.0\n[tools]\nalways_remote = 1.0";
    let fleet = fleet(over, 1, 10);
    let drawers = of_twin(&fleet, "always_remote");
    assert_eq!(drawers.len(), 20);
    let (mut own, mut all) = (0, 0);
    let mut days: BTreeMap<DeviceId, BTreeSet<i64>> = BTreeMap::new();
    for line in lines(fleet) {
        for window in &line.report.windows {
            all += u64::from(window.active_seconds());
            own += u64::from(window.active_seconds().saturating_sub(window.injected_seconds));
            let day = window.start.as_second().div_euclid(DAY);
            days.entry(line.report.device.clone()).or_default().insert(day);
        }
    }
    assert!(days.values().filter(|days| days.len() >= 8).count() >= 18, "{days:?}");
    assert!(own * 100 < all, "{own} of {all} seconds by hand");
}

#[test]
fn a_laptop_set_up_anew_comes_back_under_another_id_with_another_person() {
    let over = "[fleet]\nlaptops = 60\n[people]\nreimaged = 1.0\n[groups]\nbench = 0";
    let fleet = fleet(over, 2, 20);
    let serials: Vec<String> = fleet.laptops.iter().map(Laptop::serial).collect();
    let (mut last, mut first) = (BTreeMap::new(), BTreeMap::new());
    let assets = fleet.asset_lines().count();
    let numbers: BTreeMap<DeviceId, usize> = fleet.devices().zip(0..).collect();
    let people: Vec<u32> = fleet.laptops.iter().map(|laptop| laptop.life.person).collect();
    for line in lines(fleet) {
        let number = numbers[&line.report.device];
        first.entry(number).or_insert(line.received_at);
        last.insert(number, line.received_at);
    }
    let mut pairs = 0;
    for (next, serial) in serials.iter().enumerate() {
        let Some(old) = serials[..next].iter().position(|before| before == serial) else { continue };
        assert_ne!(people[old], people[next]);
        let (Some(silent), Some(back)) = (last.get(&old), first.get(&next)) else { continue };
        assert!(silent < back, "{serial}");
        pairs += 1;
    }
    assert!(pairs > 15, "{pairs}");
    assert_eq!(assets, serials.iter().collect::<BTreeSet<_>>().len(), "one line for each piece of hardware");
}

#[test]
fn a_small_fleet_has_one_of_each_twin_where_that_is_asked_for() {
    let honest = fleet("[fleet]\nlaptops = 300\nat_least = 1", 4, 8);
    let sites: BTreeSet<Group> = honest.labels().map(|label| label.site).collect();
    for group in [Group::Three, Group::Flat, Group::Agency, Group::Dorm, Group::Ship, Group::DataCentre] {
        assert!(sites.contains(&group), "{group:?}");
    }
    for (_, twin) in Trait::ALL {
        assert!(!of_twin(&honest, twin).is_empty(), "nobody with {twin}");
    }
    assert!(of_twin(&honest, "offsite").len() >= 20, "a meeting");
}

#[test]
fn an_adapted_farm_stops_the_agent_or_blinds_it_or_comes_over_bluetooth() {
    let of = |rate: &str| {
        let over = format!(
            "[fleet]\nlaptops = 3\n[groups]\nbench = 0\n[farms]\nblinded = 0.0\nstopped = 0.0\nbluetooth = 0.0\n{rate}\n\
             [[farm]]\nlaptops = 3\nstyle = \"kvm\"\ncare = \"adapted\""
        );
        let over = over.replacen(&format!("{} = 0.0\n", rate.split(' ').next().unwrap()), "", 1);
        lines(fleet(&over, 3, 8))
    };
    let last = |lines: &[Line]| lines.iter().map(|line| line.received_at).max().unwrap();
    assert!(last(&of("stopped = 1.0")) < until() - SignedDuration::from_hours(120));
    let (blind, seeing) = (of("blinded = 1.0"), of("blinded = 0.000001"));
    let windows = |lines: &[Line]| lines.iter().map(|line| line.report.windows.len()).sum::<usize>();
    assert!(windows(&blind) * 3 < windows(&seeing), "{} and {}", windows(&blind), windows(&seeing));
    let by = |lines: &[Line], source: SourceKind| {
        // The first day is the facilitator's.
        let windows = lines.iter().flat_map(|line| &line.report.windows);
        let windows = windows.filter(|window| window.start > until() - SignedDuration::from_hours(6 * 24));
        windows.filter(|window| window.sources.contains_key(&source)).count()
    };
    let bluetooth = of("bluetooth = 1.0");
    assert!(by(&bluetooth, SourceKind::Bluetooth) > 50);
    assert_eq!(by(&bluetooth, SourceKind::Usb), 0);
}

/// Every report is one that a collector takes: replay refuses none.
#[tokio::test]
async fn the_collector_takes_every_report() {
    let app = App::fixed(sqlite::in_memory().unwrap(), Policy::default());
    let store = Arc::clone(&app.store);
    let mut replay = Replay::new(app, false, Vec::new(), Vec::new()).await.unwrap();
    let mut count = 0;
    for line in lines(fleet(MIXED, 11, 3)) {
        replay.line(&serde_json::to_vec(&line).unwrap()).await.unwrap();
        count += 1;
    }
    replay.finish().await.unwrap();
    assert_eq!(replay.take_refused(), Vec::<String>::new());
    assert!(count > 5_000, "{count}");
    assert!(store.device_count().await.unwrap().good() > 350);
}
