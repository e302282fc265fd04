//! Two weeks of use and of transitions, remembered: a judgement then reads what is new and not all of it again.
//!
//! It learns from each report that follows the last one it knows, when that is acknowledged; of others, which came by another
//! collector or while it was in use, the store tells. It may be lost at any time, and gives what the store would: where a
//! report touched a window that is counted already, that window's day and those after it are read anew.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::{Mutex, PoisonError};

use farmwatch_shared::facts::{Transition, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::usage::Usage;
use jiff::Timestamp;

use super::DAY;
use crate::store::{Recorded, Result, SharedStore, merge_windows};

/// Most bytes remembered, of all devices together.
const MOST: usize = 512 << 20;

/// What devices did of late.
#[derive(Debug)]
pub struct Habits {
    most: usize,
    kept: Mutex<Kept>,
}

/// Those used of late, and those used before: when there are too many of the first, they take the place of the second.
#[derive(Debug, Default)]
struct Kept {
    bytes: usize,
    fresh: HashMap<DeviceId, Habit>,
    stale: HashMap<DeviceId, Habit>,
}

/// What one device did of late.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Habit {
    /// Number of the last report that is in it.
    upto: u64,
    /// Its days.
    pub usage: Usage,
    /// Transitions, oldest first.
    pub transitions: Vec<Transition>,
    /// The newest window, if it is known from which reports: one in which a laptop was locked, or its agent ended, comes in
    /// parts. A part that stands in what the store was read for may come once more.
    last: Option<Window>,
}

impl Default for Habits {
    fn default() -> Self {
        Self::of_bytes(MOST)
    }
}

impl Habits {
    /// Remembers about so many bytes.
    pub fn of_bytes(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// What a device did since a midnight, of which the store has reports up to this number: it is asked only for what is not
    /// remembered.
    pub async fn upto(
        &self,
        store: &SharedStore,
        device: &DeviceId,
        since: Timestamp,
        last: u64,
    ) -> Result<Habit> {
        let mut habit = self.take(device).unwrap_or_default();
        if habit.upto >= last && last > 0 {
            habit.forget_before(since);
            return Ok(habit);
        }
        Self::brought_up(habit, store, device, since).await
    }

    async fn brought_up(
        mut habit: Habit,
        store: &SharedStore,
        device: &DeviceId,
        since: Timestamp,
    ) -> Result<Habit> {
        let after = (habit.upto > 0).then_some(habit.upto);
        if let Some(anew) = habit.learn(store.recorded(device, since, after).await?, since) {
            habit.usage.forget_from(anew.as_second().div_euclid(DAY));
            for window in store.windows(device, anew.max(since)).await? {
                habit.usage.add(&window);
            }
            habit.last = None;
        }
        Ok(habit)
    }

    /// Learns from a report that is stored, where it follows the last one that is remembered.
    pub fn heard(&self, device: &DeviceId, report: Recorded) {
        let mut kept = self.lock();
        let Kept { bytes, fresh, stale } = &mut *kept;
        let is_fresh = fresh.contains_key(device);
        let Some(habit) = fresh.get_mut(device).or_else(|| stale.get_mut(device)) else { return };
        let follows = habit.upto + 1 == report.upto;
        if !follows || report.windows.iter().any(|window| habit.usage.has(window) && !habit.goes_on(window)) {
            return;
        }
        let before = habit.bytes();
        let again = habit.learn(report, Timestamp::MIN);
        if is_fresh {
            *bytes = (*bytes + habit.bytes()).saturating_sub(before);
        }
        // Two windows of one report have one start that is not the last.
        if again.is_some() {
            drop(kept);
            self.take(device);
        }
    }

    /// Remembers it for the next time.
    pub fn keep(&self, device: &DeviceId, habit: Habit) {
        let mut kept = self.lock();
        let bytes = habit.bytes();
        kept.bytes += bytes;
        if kept.bytes > self.most / 2 {
            kept.stale = std::mem::take(&mut kept.fresh);
            kept.bytes = bytes;
        }
        if bytes <= self.most / 2
            && let Some(other) = kept.fresh.insert(device.clone(), habit)
        {
            kept.bytes = kept.bytes.saturating_sub(other.bytes());
        }
    }

    fn take(&self, device: &DeviceId) -> Option<Habit> {
        let mut kept = self.lock();
        if let Some(habit) = kept.fresh.remove(device) {
            kept.bytes = kept.bytes.saturating_sub(habit.bytes());
            return Some(habit);
        }
        kept.stale.remove(device)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Habit {
    /// About what it takes, its place in a table and the name of its device among it.
    fn bytes(&self) -> usize {
        2 * (size_of::<Self>() + 40)
            + size_of_val(self.usage.days())
            + self.transitions.len() * size_of::<Transition>()
    }

    /// Adds what is recorded since it was last asked for; the midnight from which on windows are to be read anew, if so.
    fn learn(&mut self, recorded: Recorded, since: Timestamp) -> Option<Timestamp> {
        let Recorded { upto, whole, windows, transitions } = recorded;
        self.upto = upto;
        if whole {
            (self.usage, self.transitions) = (Usage::of(&windows), transitions);
            self.last = None;
            return None;
        }
        let mut again: Option<Timestamp> = None;
        for window in windows.into_iter().filter(|window| window.start >= since) {
            if self.usage.add(&window) {
                if self.last.as_ref().is_none_or(|last| last.start < window.start) {
                    self.last = Some(window);
                }
            } else if let Some(was) = self.last.take_if(|last| last.start == window.start) {
                let is = merge_windows(was.clone(), window);
                self.usage.replace(&was, &is);
                self.last = Some(is);
            } else {
                again = Some(again.map_or(window.start, |first| first.min(window.start)));
            }
        }
        for transition in transitions {
            let place = self.transitions.partition_point(|known| in_order(known, &transition));
            if self.transitions.get(place) != Some(&transition) {
                self.transitions.insert(place, transition);
            }
        }
        self.forget_before(since);
        again.map(midnight)
    }

    /// It is a part of the newest window.
    fn goes_on(&self, window: &Window) -> bool {
        self.last.as_ref().is_some_and(|last| last.start == window.start)
    }

    fn forget_before(&mut self, since: Timestamp) {
        self.usage.forget_before(since.as_second().div_euclid(DAY));
        let old = self.transitions.partition_point(|transition| transition.at < since);
        self.transitions.drain(..old);
    }
}

fn midnight(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second().div_euclid(DAY) * DAY).unwrap_or(at)
}

/// The first comes before the second, as the store orders them: by time, and of one moment by their word.
fn in_order(first: &Transition, second: &Transition) -> bool {
    let word = |transition: &Transition| serde_json::to_string(&transition.kind).unwrap_or_default();
    match first.at.cmp(&second.at) {
        std::cmp::Ordering::Equal => word(first) < word(second),
        order => order.is_lt(),
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::TransitionKind;
    use farmwatch_shared::report::Report;
    use farmwatch_shared::state::Digest;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::store::{Arrival, Device, Observed, sqlite};

    const KINDS: [TransitionKind; 3] =
        [TransitionKind::MainsLost, TransitionKind::Locked, TransitionKind::Booted];

    fn device() -> DeviceId {
        DeviceId::new(1, 1)
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    fn window(number: i64, injected: u16) -> Window {
        Window {
            start: at(5 * number),
            observed_seconds: 100,
            sources: Default::default(),
            injected_seconds: injected,
            absolute_permille: 0,
            periodic_permille: 0,
            pointer_centinats: None,
        }
    }

    fn arrival(seq: u64, windows: Vec<Window>, transitions: Vec<Transition>) -> Arrival {
        let report = Report {
            v: 1,
            device: device(),
            boot: "0a".into(),
            seq,
            at: at(0),
            machine: String::new(),
            digest: Digest::default(),
            whole: false,
            set: Default::default(),
            gone: Vec::new(),
            windows,
            transitions,
            dropped_windows: 0,
            other: Default::default(),
        };
        Arrival {
            report,
            as_sent: Default::default(),
            received_at: at(0),
            source: None,
            country: None,
            network: None,
            observed: Observed::default(),
        }
    }

    /// What a report holds: windows by number, transitions by minute and kind; whether it comes by this collector, and whether
    /// its device is judged after it.
    type Told = (Vec<(i64, u16)>, Vec<(i64, usize)>, bool, bool);

    fn told() -> impl Strategy<Value = Vec<Told>> {
        // Now and then one that goes on.
        let number = prop_oneof![0..900i64, 880..900i64];
        let windows = prop::collection::vec((number, 0..9u16), 0..4);
        let transitions = prop::collection::vec((0..4500i64, 0..3usize), 0..4);
        prop::collection::vec((windows, transitions, prop::bool::weighted(0.8), any::<bool>()), 1..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_remembered_is_what_the_store_has(told in told(), most in prop::sample::select(vec![0, 2000, 100_000])) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let store = sqlite::in_memory().unwrap();
                store.add_device(Device::new(device(), at(0))).await.unwrap();
                let habits = Habits::of_bytes(most);
                for (n, (windows, transitions, here, judged)) in told.into_iter().enumerate() {
                    let windows = windows.into_iter().map(|(number, injected)| window(number, injected)).collect();
                    let transitions = transitions.into_iter().map(|(m, k)| Transition { at: at(m), kind: KINDS[k] });
                    let (seq, arrived) = (n as u64 + 1, arrival(n as u64 + 1, windows, transitions.collect()));
                    store.ingest(vec![arrived.clone()]).await.unwrap();
                    if here {
                        habits.heard(&device(), Recorded::of(&arrived.report));
                    }
                    if judged {
                        let since = at(1440 * (i64::try_from(n).unwrap() / 8));
                        let habit = habits.upto(&store, &device(), since, seq).await.unwrap();
                        assert_eq!(habit.usage, Usage::of(&store.windows(&device(), since).await.unwrap()));
                        assert_eq!(habit.transitions, store.transitions(&device(), since).await.unwrap());
                        habits.keep(&device(), habit);
                    }
                }
            });
        }
    }

    #[test]
    fn it_does_not_grow_without_bound() {
        let usage = Usage::of(&(0..20).map(|n| window(n, 0)).collect::<Vec<_>>());
        let habit = Habit { upto: 1, usage, ..Habit::default() };
        let habits = Habits::of_bytes(5 * habit.bytes());
        for n in 0..1000 {
            habits.keep(&DeviceId::new(1, n), habit.clone());
        }
        let kept = habits.lock();
        assert!(kept.fresh.len() + kept.stale.len() <= 5);
        assert!(kept.fresh.contains_key(&DeviceId::new(1, 999)));
    }
}
