//! Nothing is lost and nothing is doubled: a collector that is away for an hour of changes, agents and collectors
//! that are killed at random moments.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use farmwatch_shared::facts::TransitionKind;
use farmwatch_shared::report::Report;
use farmwatch_tests::books::{self, Name};
use farmwatch_tests::load::{enrol_many, report_without_end, runtime};
use farmwatch_tests::machine::Machine;
use farmwatch_tests::world::{Agent, Collector, wait_for};

const LONG: Duration = Duration::from_mins(2);
const TOOLS: [&str; 3] = ["anydesk", "rustdesk", "x11vnc"];

fn running(folder: &Path) -> Collector {
    let mut collector = Collector::init(&folder.join("collector"), &[]).unwrap();
    collector.start().unwrap();
    collector
}

fn laptop(folder: &Path, id: &str, collector: &Collector) -> (Machine, Agent, String) {
    let folder = folder.join(id);
    let machine = Machine::new(&folder.join("root"), id).unwrap();
    let agent = Agent::new(&folder, "").unwrap().below(machine.root());
    let device = agent.enrol(collector).unwrap();
    (machine, agent, device)
}

/// Waits until all that an agent spooled is acknowledged, and ends it.
fn drain(agent: &mut Agent) {
    wait_for("an empty spool", LONG, || {
        let status = agent.status()?;
        let last = status["status"]["reached_at"].is_string() && status["status"]["waiting_bytes"] == 0;
        Ok((last && status["running"] == true).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    // Its status is written every two seconds; what it says was so when the spool was empty.
    std::thread::sleep(Duration::from_secs(3));
    agent.program().unwrap().kill();
}

/// Kinds of transitions in the order of their reports.
fn kinds(reports: &[Report]) -> Vec<TransitionKind> {
    let mut reports: Vec<_> = reports.iter().collect();
    reports.sort_by_key(|report| report.seq);
    reports.iter().flat_map(|report| report.transitions.iter().map(|t| t.kind)).collect()
}

#[test]
fn a_collector_that_was_away_for_an_hour_of_changes_has_them_all_once() {
    // In an hour, a busy laptop installs and removes some programs and its plug is pulled now and then.
    const PROGRAMS: usize = 100;
    const PULLS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let mut collector = running(folder.path());
    let (machine, mut agent, device) = laptop(folder.path(), "0a0a0a0a", &collector);
    agent.start().unwrap();
    wait_for("the first report", LONG, || Ok((books::rows(&collector, &device)?.seq > 0).then_some(())))
        .unwrap();
    collector.program().unwrap().kill();

    let spooled = || books::spooled(&agent.state()).unwrap().len();
    let noticed = |before: usize| {
        wait_for("the change in the spool", LONG, || Ok((spooled() > before).then_some(()))).unwrap();
    };
    let before = spooled();
    for n in 0..PROGRAMS {
        let (count, tool) = (spooled(), TOOLS[n / 2 % TOOLS.len()]);
        if n % 2 == 0 {
            machine.install(tool).unwrap();
        } else {
            machine.remove(tool).unwrap();
        }
        noticed(count);
        if n % (PROGRAMS / PULLS) == 0 {
            let (count, on) = (spooled(), n / (PROGRAMS / PULLS) % 2 == 1);
            machine.mains(on).unwrap();
            noticed(count);
        }
    }
    machine.install("anydesk").unwrap();
    noticed(spooled() - 1);
    let away = spooled() - before;
    assert!(away >= PROGRAMS + PULLS, "{away} reports wait");

    collector.start().unwrap();
    std::process::Command::new("kill")
        .args(["-HUP", &agent.program().unwrap().id().to_string()])
        .status()
        .unwrap();
    wait_for("the last change", LONG, || {
        let shown = collector.device(&device)?;
        Ok(shown["facts"]["remote_tool/anydesk"].is_object().then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    drain(&mut agent);
    let reports = agent.sent().unwrap();
    let compared = books::balance(&collector, &device, &reports).unwrap();
    let alternating = [TransitionKind::MainsLost, TransitionKind::MainsRegained];
    let pulled: Vec<_> = (0..=PULLS).map(|n| alternating[n % 2]).collect();
    assert_eq!(kinds(&reports), pulled[..kinds(&reports).len()], "each pull of the plug once, in order");
    assert!(kinds(&reports).len() >= PULLS);
    println!("{away} reports waited, {compared} compared");
}

#[test]
fn an_agent_that_is_killed_again_and_again_loses_nothing_that_was_spooled() {
    const LAPTOPS: [&str; 4] = ["aaaaaaa1", "aaaaaaa2", "aaaaaaa3", "aaaaaaa4"];
    const KILLS_EACH: u64 = 52;
    let folder = tempfile::tempdir().unwrap();
    let collector = Arc::new(running(folder.path()));
    let killed = std::thread::scope(|scope| {
        let each = LAPTOPS.map(|id| {
            let (folder, collector) = (folder.path(), Arc::clone(&collector));
            scope.spawn(move || killed_again_and_again(folder, id, &collector, KILLS_EACH))
        });
        each.map(|thread| thread.join().unwrap())
    });
    let (spooled, compared): (usize, usize) =
        killed.iter().fold((0, 0), |(spooled, compared), (s, c)| (spooled + s, compared + c));
    println!("{} kills, {spooled} reports were in a spool at one, {compared} compared", KILLS_EACH * 4);
    assert!(spooled > 50, "the kills met {spooled} reports in spools");
}

/// How many reports were in the spool at a kill, and how many were compared in the end.
fn killed_again_and_again(folder: &Path, id: &str, collector: &Collector, kills: u64) -> (usize, usize) {
    let (machine, mut agent, device) = laptop(folder, id, collector);
    let mut random = fastrand::Rng::with_seed(id.bytes().map(u64::from).sum());
    let mut seen: BTreeSet<Name> = BTreeSet::new();
    for n in 0..kills {
        let tool = TOOLS[random.usize(..TOOLS.len())];
        agent.start().unwrap();
        let until = std::time::Instant::now() + Duration::from_millis(random.u64(..600));
        while std::time::Instant::now() < until {
            if random.bool() {
                machine.install(tool).unwrap();
            } else {
                let _ = machine.remove(tool);
            }
            std::thread::sleep(Duration::from_millis(random.u64(1..60)));
        }
        machine.mains(n % 2 == 0).unwrap();
        assert!(agent.program().unwrap().runs(), "it died by itself: {}", agent.said());
        agent.program().unwrap().kill();
        seen.extend(books::spooled(&agent.state()).unwrap());
    }
    TOOLS.iter().for_each(|tool| machine.install(tool).unwrap());
    agent.start().unwrap();
    wait_for("the last change", LONG, || {
        let shown = collector.device(&device)?;
        Ok(TOOLS.iter().all(|tool| shown["facts"][format!("remote_tool/{tool}")].is_object()).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", agent.said()));
    drain(&mut agent);
    let reports = agent.sent().unwrap();
    let sent: BTreeSet<Name> = reports.iter().map(|report| (report.boot.clone(), report.seq)).collect();
    let lost: Vec<_> = seen.difference(&sent).collect();
    assert!(lost.is_empty(), "were spooled and never came: {lost:?}");
    let compared = books::balance(collector, &device, &reports).unwrap();
    assert_eq!(
        collector.device(&device).unwrap()["device"]["standing"],
        "enrolled",
        "no conflict with itself"
    );
    (seen.len(), compared)
}

#[test]
fn a_collector_that_is_killed_again_and_again_loses_nothing_that_it_acknowledged() {
    const KILLS: usize = 205;
    const LAPTOPS: u32 = 6;
    let folder = tempfile::tempdir().unwrap();
    let mut collector = running(folder.path());
    let runtime = runtime().unwrap();
    let laptops = runtime.block_on(enrol_many(&collector, 1, LAPTOPS)).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = laptops
        .into_iter()
        .map(|laptop| runtime.spawn(report_without_end(laptop, Arc::clone(&stop))))
        .collect();
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..KILLS {
        std::thread::sleep(Duration::from_millis(random.u64(..150)));
        collector.program().unwrap().kill();
        // Its port may be somebody's outgoing connection for a moment.
        (0..3).find(|_| collector.start().is_ok()).expect("it starts again");
    }
    stop.store(true, Ordering::Relaxed);
    let (mut compared, mut again) = (0, 0);
    for task in tasks {
        let (laptop, reports, retries) = runtime.block_on(task).unwrap().unwrap();
        compared += books::balance(&collector, laptop.device.as_str(), &reports).unwrap();
        again += retries;
    }
    println!("{KILLS} kills, {compared} reports compared, {again} sent again");
    assert!(
        compared > KILLS && again > KILLS / 2,
        "{compared} compared, {again} sent again: too few to tell"
    );
    let check = collector.ask(&["audit", "check"]).unwrap();
    assert_eq!(check["whole"], true, "{check}");
}
