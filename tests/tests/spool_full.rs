//! A full disk below the spool: facts and transitions stay, the oldest windows go and are counted, the agent lives and
//! goes on when there is room. Mounts a small file system, so it needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use farmwatch_agent::spool::Spool;
use farmwatch_shared::facts::{RemoteTool, Transition, TransitionKind, Window};
use farmwatch_shared::report::Report;
use farmwatch_shared::state::FactKey;
use farmwatch_tests::books;
use farmwatch_tests::disk::Disk;
use farmwatch_tests::machine::Machine;
use farmwatch_tests::world::{Agent, Collector, wait_for};
use jiff::{SignedDuration, Timestamp};

const LONG: Duration = Duration::from_mins(2);
/// The tool that comes and goes.
const TOOL: &str = "anydesk";
/// Windows of a week.
const WEEK: u64 = 7 * 288;
/// Every so many windows, something happened.
const EVERY: u64 = 24;

/// An agent with its state on a small disk, that has reported once.
struct Field {
    collector: Collector,
    machine: Machine,
    agent: Agent,
    disk: Disk,
    device: String,
    /// Its first report.
    sent: Report,
}

impl Field {
    fn new(folder: &Path) -> Self {
        let mut collector = Collector::init(&folder.join("collector"), &[]).unwrap();
        collector.start().unwrap();
        let machine = Machine::new(&folder.join("root"), "77777777").unwrap();
        let mut agent = Agent::new(&folder.join("agent"), "").unwrap().below(machine.root());
        let disk = Disk::mount(&agent.state(), 6).unwrap();
        let device = agent.enrol(&collector).unwrap();
        agent.start().unwrap();
        let sent = wait_for("the first report", LONG, || {
            Ok(agent.sent().ok().and_then(|reports| reports.into_iter().next()))
        })
        .unwrap();
        Self { collector, machine, agent, disk, device, sent }
    }

    /// Lets the agent try its collector at once.
    fn hurry(&mut self) {
        let pid = self.agent.program().unwrap().id().to_string();
        Command::new("kill").args(["-HUP", &pid]).status().unwrap();
    }

    fn shows(&self, tool: &str) {
        wait_for("the last change", LONG, || {
            let shown = self.collector.device(&self.device)?;
            Ok(shown["facts"][format!("remote_tool/{tool}")].is_object().then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}\n{}", self.agent.said()));
    }
}

/// A week of windows in the spool, as an agent leaves them that was offline. Gives their starts.
fn spool_a_week(agent: &Agent, like: &Report) -> Vec<Timestamp> {
    let (mut spool, _) = Spool::open(&agent.state().join("spool"), 64 << 20).unwrap();
    let first = Window::start_of(Timestamp::now() - SignedDuration::from_hours(7 * 24 + 1));
    let mut starts = Vec::new();
    for n in 0..WEEK {
        let start = first + SignedDuration::from_secs(i64::try_from(n).unwrap() * Window::SECONDS);
        let window = Window {
            start,
            observed_seconds: 300,
            sources: Default::default(),
            injected_seconds: 0,
            absolute_permille: 7,
            periodic_permille: 7,
            pointer_centinats: Some(7),
        };
        let mut report = Report {
            boot: "5eed5eed".into(),
            seq: spool.next_seq(),
            at: start + SignedDuration::from_secs(Window::SECONDS),
            whole: false,
            set: Default::default(),
            windows: vec![window],
            transitions: Vec::new(),
            ..like.clone()
        };
        if n % EVERY == 0 {
            report.transitions = vec![Transition { at: start, kind: TransitionKind::Locked }];
        }
        spool.append(&report).unwrap();
        starts.push(start);
    }
    starts
}

/// Installs a remote tool, or removes it.
fn toggle(machine: &Machine, install: bool) -> std::io::Result<()> {
    if install { machine.install(TOOL) } else { machine.remove(TOOL) }
}

/// What the spool last says of it: is it there? A change is only sure to be seen when the one before it was.
fn spooled_tool(state: &Path) -> anyhow::Result<Option<bool>> {
    let key = FactKey::of::<RemoteTool>(TOOL);
    let says = |report: &Report| {
        let gone = report.gone.contains(&key).then_some(false);
        report.set.contains_key(&key).then_some(true).or(gone)
    };
    Ok(books::spooled_reports(state)?.iter().filter_map(says).next_back())
}

#[test]
fn on_a_full_disk_facts_stay_the_oldest_windows_go_and_are_counted_and_there_is_life_after_it() {
    const CHANGES: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let Field { mut collector, machine, mut agent, disk, device, sent } = Field::new(folder.path());
    agent.stop();
    collector.program().unwrap().kill();
    let starts = spool_a_week(&agent, &sent);

    disk.fill().unwrap();
    agent.start().unwrap();
    for n in 0..CHANGES {
        let installed = n % 2 == 0;
        toggle(&machine, installed).unwrap();
        if n % 10 == 0 {
            machine.mains(n % 20 == 10).unwrap();
        }
        // Others take what the windows left, too, for a while.
        if n < 3 {
            disk.fill().unwrap();
        }
        wait_for("the change in the spool", LONG, || {
            Ok((spooled_tool(&agent.state())? == Some(installed)).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}, after {n} changes\n{}", agent.said()));
    }
    assert!(agent.program().unwrap().runs(), "{}", agent.said());

    disk.make_room().unwrap();
    machine.install("rustdesk").unwrap();
    let mut field = Field { collector, machine, agent, disk, device, sent };
    field.collector.start().unwrap();
    field.hurry();
    field.shows("rustdesk");

    let rows = books::rows(&field.collector, &field.device).unwrap();
    let dropped =
        field.collector.device(&field.device).unwrap()["device"]["dropped_windows"].as_u64().unwrap();
    let starts: Vec<i64> = starts.iter().map(|start| start.as_millisecond()).collect();
    assert!(0 < dropped && dropped < WEEK, "{dropped} dropped");
    let kept = starts[usize::try_from(dropped).unwrap()..].iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(rows.windows, kept, "{dropped} dropped: these were the oldest, and each is counted");
    let locked = rows.transitions.iter().filter(|(_, kind)| kind == "locked").count();
    assert_eq!(locked as u64, WEEK.div_ceil(EVERY), "no transition went with the windows");
    let pulls = rows.transitions.iter().filter(|(_, kind)| kind.starts_with("mains")).count();
    assert!(pulls >= 1, "{:?}", rows.transitions);
    assert_eq!(rows.digest, rows.sum);
    println!("{dropped} of {WEEK} windows dropped, {CHANGES} changes kept");
}

#[test]
fn where_nothing_is_left_to_give_up_what_is_new_waits_in_memory_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut field = Field::new(folder.path());
    field.collector.program().unwrap().kill();
    let full = |field: &Field| field.agent.said().contains("what is new stays in memory");
    // What others leave is less with each change, until one finds no place.
    let mut changes = 0_u32;
    while !full(&field) {
        assert!(changes < 200, "{changes} changes found place on a full disk\n{}", field.agent.said());
        let installed = changes.is_multiple_of(2);
        changes += 1;
        field.disk.fill().unwrap();
        toggle(&field.machine, installed).unwrap();
        wait_for("the change in the spool, or that there is no room", LONG, || {
            let spooled = spooled_tool(&field.agent.state())? == Some(installed);
            Ok((spooled || full(&field)).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}, after {changes} changes\n{}", field.agent.said()));
    }
    field.machine.install("rustdesk").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert!(field.agent.program().unwrap().runs(), "{}", field.agent.said());
    field.disk.make_room().unwrap();
    field.collector.start().unwrap();
    field.hurry();
    field.shows("rustdesk");
    let rows = books::rows(&field.collector, &field.device).unwrap();
    assert_eq!((rows.gaps, rows.digest), (0, rows.sum));
}
