//! Whatever happens between an agent and the store, what is stored is what the agent said, once.

use farmwatch_shared::facts::{Transition, TransitionKind};
use farmwatch_shared::report::Report;
use farmwatch_shared::state::{FactKey, State};
use proptest::prelude::*;
use serde_json::json;

use super::super::{Receipt, SharedStore, Standing};
use super::{arrival, enrol, heartbeat, laptop, minute, window};

/// What may happen to an agent.
#[derive(Clone, Debug)]
enum Event {
    /// Some facts change.
    Change(Vec<(u8, Option<u8>)>),
    /// Nothing does.
    Heartbeat,
    /// It starts anew.
    Restart,
    /// It sends what waits, at most so many, to one of the collectors; the answer may be lost.
    Send { most: usize, answered: bool, by: usize },
    /// Something on the way sends an old report again.
    Replay(usize, usize),
    /// IT looks into it, by one of the collectors.
    Look(usize),
    /// It sends its whole state, as when it was asked to.
    Whole,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let facts = prop::collection::vec((0..6u8, prop::option::of(0..3u8)), 0..4);
    let event = prop_oneof![
        3 => facts.prop_map(Event::Change),
        1 => Just(Event::Heartbeat),
        1 => Just(Event::Restart),
        4 => (1..5usize, any::<bool>(), 0..2usize)
            .prop_map(|(most, answered, by)| Event::Send { most, answered, by }),
        1 => (0..50usize, 0..2usize).prop_map(|(n, by)| Event::Replay(n, by)),
        1 => (0..2usize).prop_map(Event::Look),
        1 => Just(Event::Whole),
    ];
    prop::collection::vec(event, 1..40)
}

/// An agent: its state, its spool, and everything it ever wrote.
#[derive(Default)]
struct Agent {
    state: State,
    boot: u32,
    seq: u64,
    spool: Vec<Report>,
    sent: Vec<Report>,
}

impl Agent {
    fn write(&mut self, next: State, whole: bool) {
        self.seq += 1;
        let from = if whole { State::default() } else { self.state.clone() };
        let delta = from.delta(&next);
        let changed = !delta.is_empty();
        let mut report = heartbeat(&laptop(1), self.seq, &next);
        report.boot = format!("{:08x}", self.boot);
        (report.set, report.gone, report.whole) = (delta.set, delta.gone, whole);
        if changed {
            let at = minute(i64::try_from(self.seq).unwrap());
            report.transitions.push(Transition { at, kind: TransitionKind::Locked });
            // Some in a row tell parts of one window.
            report.windows.push(window(5 * i64::try_from(self.seq / 4).unwrap(), 1));
        }
        self.state = next;
        self.spool.push(report);
    }
}

/// `stores` are several collectors' on one database, or one.
async fn live(stores: &[SharedStore], events: Vec<Event>) {
    let store = &stores[0];
    let by = |n: usize| &stores[n % stores.len()];
    let device = enrol(store, 1).await;
    let mut agent = Agent::default();
    for event in events {
        match event {
            Event::Change(changes) => {
                let mut next = agent.state.clone();
                for (key, value) in changes {
                    let key = FactKey::try_from(format!("f/{key}")).unwrap();
                    match value {
                        Some(value) => next.set(key, json!({"v": value})),
                        None => next.remove(&key),
                    }
                }
                agent.write(next, false);
            }
            Event::Heartbeat => agent.write(agent.state.clone(), false),
            Event::Whole => agent.write(agent.state.clone(), true),
            Event::Restart => agent.boot += 1,
            Event::Send { most, answered, by: n } => send(by(n), &mut agent, most, answered).await,
            Event::Look(n) => by(n).set_standing(&device, Standing::Pending).await.unwrap(),
            Event::Replay(n, collector) => {
                if let Some(old) = agent.sent.get(n) {
                    let receipts = by(collector).ingest(vec![arrival(old.clone())]).await.unwrap();
                    assert_eq!(receipts, [Receipt::Duplicate], "{old:?}");
                }
            }
        }
    }
    send(store, &mut agent, usize::MAX, true).await;
    assert_eq!(store.state(&device).await.unwrap(), agent.state);
    let known = store.device(&device).await.unwrap().unwrap();
    assert_eq!((known.digest, known.seq), (agent.state.digest(), agent.seq));
    let kept = store.sent(&device, 1000).await.unwrap().into_iter().rev().map(|sent| sent.report);
    let wanted: Vec<_> = agent.sent.iter().filter(|report| !report.is_heartbeat()).cloned().collect();
    assert_eq!(kept.collect::<Vec<_>>(), wanted);
    let happened: usize = agent.sent.iter().map(|r| r.transitions.len()).sum();
    assert_eq!(store.transitions(&device, minute(0)).await.unwrap().len(), happened);
    let windows = store.windows(&device, minute(0)).await.unwrap();
    let keys = windows.iter().flat_map(|window| window.sources.values()).map(|source| source.keys);
    assert_eq!(keys.sum::<u32>() as usize, happened, "each part counts once");
}

async fn send(store: &SharedStore, agent: &mut Agent, most: usize, answered: bool) {
    let batch: Vec<_> = agent.spool.iter().take(most).cloned().collect();
    let receipts = store.ingest(batch.iter().cloned().map(arrival).collect()).await.unwrap();
    for (report, receipt) in batch.iter().zip(receipts) {
        let known = agent.sent.iter().any(|old| old.seq == report.seq);
        let wanted = if known { Receipt::Duplicate } else { Receipt::Taken { want_state: false } };
        assert_eq!(receipt, wanted, "{report:?}");
        if !known {
            agent.sent.push(report.clone());
        }
    }
    if answered {
        agent.spool.drain(..batch.len());
    }
}

/// Checks many of them.
pub fn hold(open: impl Fn() -> Vec<SharedStore>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = proptest::test_runner::TestRunner::default();
    runner
        .run(&events(), |events| {
            runtime.block_on(live(&open(), events));
            Ok(())
        })
        .unwrap();
}
