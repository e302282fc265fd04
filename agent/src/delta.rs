//! From what sensors see to numbered reports: pure, without a clock.
//!
//! The reporter keeps the state as the spool has it and the state as it is now. A report is made of the
//! difference and of what happened since; when the spool cannot take it, nothing is lost: the difference is
//! made anew from whatever stands when there is room again.

use std::collections::VecDeque;

use farmwatch_shared::facts::{Family as _, Host, Isolation, SensorStatus, Transition, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::{Report, VERSION};
use farmwatch_shared::state::{FactKey, State};
use farmwatch_shared::wire::{MAX_BODY, MAX_FACTS};
use jiff::Timestamp;

/// Most windows that wait in memory while the spool takes nothing: two days.
const MAX_WAITING_WINDOWS: usize = 576;
/// Largest set of facts in one report in bytes of JSON: it fits a body even where it does not compress, with
/// room for windows and transitions.
const MAX_SET_BYTES: usize = MAX_BODY / 4 * 3;
/// Facts of these families stay, however many others there are: that a sensor is overrun is itself a fact.
const FIRST: [&str; 3] = [SensorStatus::NAME, Isolation::NAME, Host::NAME];

/// Who the reports are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The device.
    pub device: DeviceId,
    /// This run of the agent.
    pub boot: String,
    /// The hardware, hashed.
    pub machine: String,
}

/// Turns states into reports.
#[derive(Debug)]
pub struct Reporter {
    sender: Sender,
    next_seq: u64,
    spooled: State,
    now: State,
    whole: bool,
    windows: VecDeque<Window>,
    transitions: Vec<Transition>,
    dropped_windows: u64,
}

impl Reporter {
    /// A reporter whose first report will be `next_seq` and whole: what was spooled by an earlier run may
    /// not be what stands now.
    pub fn new(sender: Sender, next_seq: u64) -> Self {
        Self {
            sender,
            next_seq,
            spooled: State::default(),
            now: State::default(),
            whole: true,
            windows: VecDeque::new(),
            transitions: Vec::new(),
            dropped_windows: 0,
        }
    }

    /// The state as it stands.
    pub fn state(&self) -> &State {
        &self.now
    }

    /// The device's own facts change one by one: isolation.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.now
    }

    /// Who the reports are from.
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Takes what sensors saw. `keep` names families that are not the sensors' and stay.
    pub fn observe(&mut self, mut state: State, keep: &[&str]) {
        for (key, value) in self.now.values().filter(|(key, _)| keep.contains(&key.family())) {
            state.set(key.clone(), value.clone());
        }
        self.now = state;
    }

    /// Takes what happened.
    pub fn happened(
        &mut self,
        windows: impl IntoIterator<Item = Window>,
        transitions: impl IntoIterator<Item = Transition>,
    ) {
        self.windows.extend(windows);
        self.transitions.extend(transitions);
        while self.windows.len() > MAX_WAITING_WINDOWS {
            self.windows.pop_front();
            self.dropped_windows += 1;
        }
    }

    /// Windows that memory had no room for; the spool's own count comes on top. Reading it resets it.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped_windows)
    }

    /// The next report will hold the whole state.
    pub fn want_whole(&mut self) {
        self.whole = true;
    }

    /// There is something to report.
    pub fn has_news(&self) -> bool {
        self.whole
            || !self.windows.is_empty()
            || !self.transitions.is_empty()
            || self.spooled.digest() != self.now.digest()
    }

    /// Makes the next report, a heartbeat if there is no news. It counts only once [`Self::taken`] is told.
    pub fn report(&self, at: Timestamp, dropped_windows: u64) -> Report {
        let mut report = Report {
            v: VERSION,
            device: self.sender.device.clone(),
            boot: self.sender.boot.clone(),
            seq: self.next_seq,
            at,
            machine: self.sender.machine.clone(),
            digest: self.now.digest(),
            whole: self.whole,
            set: Default::default(),
            gone: Vec::new(),
            windows: self.windows.iter().take(MAX_FACTS).cloned().collect(),
            transitions: self.transitions.iter().take(MAX_FACTS).cloned().collect(),
            dropped_windows,
            other: Default::default(),
        };
        if self.whole {
            report.set = self.now.to_map();
        } else if self.spooled.digest() != self.now.digest() {
            let delta = self.spooled.delta(&self.now);
            (report.set, report.gone) = (delta.set, delta.gone);
        }
        report
    }

    /// The report is durable.
    pub fn taken(&mut self, report: &Report) {
        self.next_seq = report.seq + 1;
        self.whole = false;
        self.windows.drain(..report.windows.len().min(self.windows.len()));
        self.transitions.drain(..report.transitions.len().min(self.transitions.len()));
        if self.spooled.digest() != report.digest {
            self.spooled = self.now.clone();
        }
    }

    /// The device has a new name: numbers start anew and the next report is whole.
    pub fn rename(&mut self, sender: Sender, next_seq: u64) {
        self.sender = sender;
        self.next_seq = next_seq;
        self.spooled = State::default();
        self.whole = true;
    }

    /// Bounds what a lying machine can make of the state: at most as many facts and bytes as one report
    /// holds. Gives the number of facts left out: the last by key, those of [`FIRST`] never before others.
    pub fn bound(state: &mut State) -> usize {
        let mut bytes = 0;
        let over = |(index, (key, value)): (usize, (&FactKey, &serde_json::Value))| {
            bytes += key.as_str().len() + value.to_string().len() + 8;
            (index >= MAX_FACTS || bytes > MAX_SET_BYTES).then(|| key.clone())
        };
        let is_first = |key: &FactKey| FIRST.contains(&key.family());
        let first = state.values().filter(|(key, _)| is_first(key));
        let others = state.values().filter(|(key, _)| !is_first(key));
        let extra: Vec<_> = first.chain(others).enumerate().filter_map(over).collect();
        extra.iter().for_each(|key| state.remove(key));
        extra.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use farmwatch_shared::facts::{SensorState, TransitionKind};
    use farmwatch_shared::state::Delta;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn sender() -> Sender {
        Sender { device: DeviceId::new(1, 1), boot: "0a1b2c3d".into(), machine: "9f8e7d6c".into() }
    }

    fn state(facts: &[(&str, i32)]) -> State {
        let facts = facts.iter().map(|(k, v)| (FactKey::try_from((*k).to_owned()).unwrap(), json!(v)));
        State::from(facts.collect::<BTreeMap<_, _>>())
    }

    /// What the collector does with a report.
    fn apply(collector: &mut State, report: &Report) {
        if report.whole {
            *collector = State::default();
        }
        collector.apply(Delta { set: report.set.clone(), gone: report.gone.clone() });
    }

    fn at() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    #[test]
    fn the_first_report_is_whole_and_an_unchanged_laptop_then_only_lives() {
        let mut reporter = Reporter::new(sender(), 7);
        reporter.observe(state(&[("power/self", 1)]), &[]);
        let first = reporter.report(at(), 0);
        assert!(first.whole && first.seq == 7 && first.set.len() == 1);
        reporter.taken(&first);
        reporter.observe(state(&[("power/self", 1)]), &[]);
        assert!(!reporter.has_news());
        let second = reporter.report(at(), 0);
        assert!(second.is_heartbeat() && second.seq == 8);
    }

    #[test]
    fn what_the_spool_refused_comes_with_the_next_report_and_keeps_its_number() {
        let mut reporter = Reporter::new(sender(), 1);
        reporter.observe(state(&[("a/a", 1)]), &[]);
        reporter.happened([], [Transition { at: at(), kind: TransitionKind::MainsLost }]);
        let _refused = reporter.report(at(), 0);
        reporter.observe(state(&[("a/a", 2)]), &[]);
        let report = reporter.report(at(), 0);
        assert_eq!((report.seq, report.transitions.len()), (1, 1));
        assert_eq!(report.set.values().next(), Some(&json!(2)));
    }

    #[test]
    fn isolation_stays_when_sensors_report() {
        let mut reporter = Reporter::new(sender(), 1);
        let key = FactKey::try_from("isolation/self".to_owned()).unwrap();
        reporter.state_mut().set(key.clone(), json!({"state": "isolated"}));
        reporter.observe(state(&[("power/self", 1)]), &["isolation"]);
        assert!(reporter.state().value(&key).is_some());
    }

    #[test]
    fn a_machine_that_lies_without_end_is_cut_to_what_a_report_holds() {
        let facts =
            (0..MAX_FACTS + 10).map(|n| (FactKey::try_from(format!("usb_device/{n}")).unwrap(), json!("x")));
        let mut endless = State::from(facts.collect::<BTreeMap<_, _>>());
        endless.put("usb_device", &SensorStatus::new(SensorState::Blind, "endless"));
        assert_eq!(Reporter::bound(&mut endless), 11);
        assert_eq!(endless.values().count(), MAX_FACTS);
        assert!(endless.get::<SensorStatus>("usb_device").is_some(), "that it is overrun is told");
    }

    proptest! {
        #[test]
        fn the_collector_ends_with_the_laptops_state_whatever_the_spool_refuses(
            steps in prop::collection::vec((prop::collection::btree_map("[ab]/[a-d]", 0..3i32, 0..6), any::<bool>()), 1..20)
        ) {
            let mut reporter = Reporter::new(sender(), 1);
            let mut collector = State::default();
            let mut last = 0;
            let mut send = |reporter: &mut Reporter| {
                let report = reporter.report(at(), 0);
                assert_eq!(report.seq, last + 1);
                last = report.seq;
                apply(&mut collector, &report);
                reporter.taken(&report);
                assert_eq!(collector.digest(), report.digest);
            };
            for (facts, room) in steps {
                let facts = facts.into_iter().map(|(k, v)| (FactKey::try_from(k).unwrap(), json!(v)));
                reporter.observe(State::from(facts.collect::<BTreeMap<_, _>>()), &[]);
                if room {
                    send(&mut reporter);
                }
            }
            send(&mut reporter);
            prop_assert_eq!(&collector, reporter.state());
        }
    }
}
