//! Keeps the sensors and what they last said; knows nothing of threads.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use farmwatch_shared::facts::{SensorState, SensorStatus, Transition, Window};
use farmwatch_shared::state::{FactKey, State};
use jiff::Timestamp;
use serde_json::Value;

use super::{Config, Make, Observation, SENSORS, Sensed, Sensor, SensorError};

/// Most transitions that wait to be taken; beyond it the oldest go.
const MOST_TRANSITIONS: usize = 1024;
/// Most windows that wait to be taken: a day's and a half.
const MOST_WINDOWS: usize = 432;

/// What a sensor says of itself that may not look as often as it is woken.
const LIMITED: &str =
    "limited: more happens than the agent may spend time on; it looks now and then, seconds apart";

/// Lets every sensor look once.
pub fn sense_once(config: &Config, now: Timestamp) -> Observation {
    let mut frame = Frame::new(config.clone(), SENSORS);
    frame.sense_all(now);
    frame.take()
}

/// The sensors, and the state that they make up together.
pub(super) struct Frame {
    config: Arc<Config>,
    slots: Vec<Slot>,
    state: State,
    windows: Vec<Window>,
    transitions: Vec<Transition>,
    changed: bool,
}

/// One sensor and what it said at its last look.
struct Slot {
    name: &'static str,
    make: Make,
    /// `None` while policy has it off.
    sensor: Option<Box<dyn Sensor>>,
    facts: BTreeMap<FactKey, Value>,
}

impl Frame {
    pub(super) fn new(config: Config, list: &[(&'static str, Make)]) -> Self {
        let slot = |(name, make): &(&'static str, Make)| Slot {
            name,
            make: *make,
            sensor: None,
            facts: BTreeMap::new(),
        };
        let slots = list.iter().map(slot).collect();
        let mut frame = Self {
            config: Arc::new(config),
            slots,
            state: State::default(),
            windows: Vec::new(),
            transitions: Vec::new(),
            changed: false,
        };
        (0..frame.len()).for_each(|index| {
            frame.switch(index);
        });
        frame
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    #[cfg(test)]
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The sensor in a slot, unless policy has it off.
    pub(super) fn sensor(&mut self, index: usize) -> Option<&mut (dyn Sensor + 'static)> {
        self.slots.get_mut(index)?.sensor.as_deref_mut()
    }

    /// Takes a new configuration. Answers which slots got a sensor that was off before.
    pub(super) fn configure(&mut self, config: Config) -> Vec<usize> {
        self.config = Arc::new(config);
        (0..self.len()).filter(|index| self.switch(*index)).collect()
    }

    pub(super) fn sense_all(&mut self, now: Timestamp) {
        (0..self.len()).for_each(|index| {
            self.sense(index, now, false);
        });
    }

    /// Lets one sensor look; `limited`: it had to wait, so as not to cost too much. Answers `false` if it panicked
    /// and was replaced by a fresh one.
    pub(super) fn sense(&mut self, index: usize, now: Timestamp, limited: bool) -> bool {
        let Some(slot) = self.slots.get_mut(index) else { return true };
        let Some(sensor) = slot.sensor.as_deref_mut() else { return true };
        let mut sensed = Sensed::new(Arc::clone(&self.config));
        let outcome = catch_unwind(AssertUnwindSafe(|| sensor.sense(now, &mut sensed)));
        let survived = outcome.is_ok();
        if limited {
            sensed.note(LIMITED);
        }
        let (facts, status) = match outcome {
            Ok(Ok(())) => (std::mem::take(&mut sensed.facts), status_of(&sensed)),
            Ok(Err(error)) => (Vec::new(), status_of_error(&error)),
            Err(panic) => {
                slot.sensor = Some((slot.make)(&self.config));
                (Vec::new(), SensorStatus::new(SensorState::Blind, describe(panic.as_ref())))
            }
        };
        self.windows.append(&mut sensed.windows);
        self.transitions.append(&mut sensed.transitions);
        drop_oldest(&mut self.windows, MOST_WINDOWS);
        drop_oldest(&mut self.transitions, MOST_TRANSITIONS);
        self.replace(index, facts.into_iter().collect(), &status);
        survived
    }

    /// Something to tell since the last [`Frame::take`].
    pub(super) fn has_news(&self) -> bool {
        self.changed || !self.windows.is_empty() || !self.transitions.is_empty()
    }

    /// What the sensors see now, and what happened since the last time.
    pub(super) fn take(&mut self) -> Observation {
        self.changed = false;
        Observation {
            state: self.state.clone(),
            windows: std::mem::take(&mut self.windows),
            transitions: std::mem::take(&mut self.transitions),
        }
    }

    /// Puts back what could not be delivered, before what has happened since.
    pub(super) fn put_back(&mut self, mut observation: Observation) {
        self.changed = true;
        observation.windows.append(&mut self.windows);
        observation.transitions.append(&mut self.transitions);
        self.windows = observation.windows;
        self.transitions = observation.transitions;
        drop_oldest(&mut self.windows, MOST_WINDOWS);
        drop_oldest(&mut self.transitions, MOST_TRANSITIONS);
    }

    /// Makes a sensor or drops it, as policy says. Answers whether a new one was made.
    fn switch(&mut self, index: usize) -> bool {
        let Some(slot) = self.slots.get_mut(index) else { return false };
        let off = self.config.off.iter().any(|name| name == slot.name);
        if off {
            slot.sensor = None;
            let status = SensorStatus::new(SensorState::OffByPolicy, "switched off by IT's policy");
            self.replace(index, BTreeMap::new(), &status);
            return false;
        }
        let missing = slot.sensor.is_none();
        if missing {
            slot.sensor = Some((slot.make)(&self.config));
        }
        missing
    }

    /// Takes over what a sensor says now for what it said before.
    fn replace(&mut self, index: usize, facts: BTreeMap<FactKey, Value>, status: &SensorStatus) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let before = self.state.digest();
        for key in slot.facts.keys().filter(|key| !facts.contains_key(*key)) {
            self.state.remove(key);
        }
        for (key, value) in facts.iter().filter(|(key, value)| slot.facts.get(*key) != Some(value)) {
            self.state.set(key.clone(), value.clone());
        }
        slot.facts = facts;
        if self.state.get::<SensorStatus>(slot.name) != Some(status) {
            self.state.put(slot.name, status);
        }
        self.changed |= self.state.digest() != before;
    }
}

fn status_of(sensed: &Sensed) -> SensorStatus {
    match &sensed.trouble {
        Some(error) => status_of_error(error),
        None => SensorStatus { state: SensorState::Ok, reason: sensed.note.clone() },
    }
}

fn status_of_error(error: &SensorError) -> SensorStatus {
    let state = match error {
        SensorError::NotSupported(_) => SensorState::NotSupported,
        SensorError::NotPermitted(_) => SensorState::NotPermitted,
        SensorError::Blind(_) => SensorState::Blind,
    };
    // Reasons may carry text of files that lie.
    let reason: String = error.to_string().chars().filter(|c| !c.is_control()).take(300).collect();
    SensorStatus::new(state, reason)
}

fn describe(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text: String = text.unwrap_or("no message").chars().filter(|c| !c.is_control()).take(200).collect();
    format!("the sensor failed ({text}); this is a fault of the agent, please report it")
}

fn drop_oldest<T>(list: &mut Vec<T>, most: usize) {
    if list.len() > most {
        list.drain(..list.len() - most);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use farmwatch_shared::facts::{Locale, Power, TransitionKind};

    use super::super::test::{config, now};
    use super::*;

    /// Sees mains, then panics, then fails, then sees again.
    struct Moody(AtomicUsize);
    struct Steady;

    impl Sensor for Moody {
        fn name(&self) -> &'static str {
            "power"
        }
        fn period(&self) -> Duration {
            Duration::from_secs(1)
        }
        fn sense(&mut self, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
            out.fact("self", &Power { mains: Some(true), ..Power::default() });
            out.transition(now, TransitionKind::MainsRegained);
            match self.0.fetch_add(1, Ordering::Relaxed) {
                1 => Err(SensorError::Blind("the battery\nlies".into())),
                2 => panic!("out of cheese"),
                _ => Ok(()),
            }
        }
    }

    impl Sensor for Steady {
        fn name(&self) -> &'static str {
            "locale"
        }
        fn period(&self) -> Duration {
            Duration::from_secs(1)
        }
        fn sense(&mut self, _: Timestamp, out: &mut Sensed) -> Result<(), SensorError> {
            out.fact("self", &Locale { time_zone: Some("America/Phoenix".into()), ..Locale::default() });
            Ok(())
        }
    }

    fn frame() -> Frame {
        let list: [(&str, Make); 2] =
            [("power", |_| Box::new(Moody(AtomicUsize::new(0)))), ("locale", |_| Box::new(Steady))];
        Frame::new(config(std::path::Path::new("/nonexistent")), &list)
    }

    #[test]
    fn a_sensor_that_fails_or_panics_loses_its_facts_and_harms_no_other() {
        let mut frame = frame();
        let mut seen = Vec::new();
        for _ in 0..4 {
            frame.sense_all(now());
            let state = frame.take().state;
            assert!(state.get::<Locale>("self").is_some());
            let status = state.get::<SensorStatus>("power").unwrap();
            seen.push((
                state.get::<Power>("self").is_some(),
                status.state,
                status.reason.clone().unwrap_or_default(),
            ));
        }
        assert_eq!(seen[0], (true, SensorState::Ok, String::new()));
        assert_eq!(seen[1], (false, SensorState::Blind, "the batterylies".into()));
        assert_eq!((seen[2].0, seen[2].1), (false, SensorState::Blind));
        assert!(seen[2].2.contains("out of cheese"), "{}", seen[2].2);
        assert_eq!(seen[3].1, SensorState::Ok, "a fresh one took its place");
    }

    #[test]
    fn policy_switches_a_sensor_off_and_on_and_its_facts_with_it() {
        let mut frame = frame();
        frame.sense_all(now());
        let on = frame.config().clone();
        assert!(frame.configure(Config { off: vec!["locale".into()], ..on.clone() }).is_empty());
        frame.sense_all(now());
        let state = frame.take().state;
        assert!(state.get::<Locale>("self").is_none());
        assert_eq!(state.get::<SensorStatus>("locale").unwrap().state, SensorState::OffByPolicy);
        assert_eq!(frame.configure(on), [1]);
        frame.sense_all(now());
        assert!(frame.take().state.get::<Locale>("self").is_some());
    }

    #[test]
    fn a_sensor_that_is_limited_says_so_while_it_is() {
        let mut frame = frame();
        for (limited, reason) in [(true, Some(LIMITED)), (false, None)] {
            frame.sense(1, now(), limited);
            let status = frame.take().state.get::<SensorStatus>("locale").cloned().unwrap();
            assert_eq!((status.state, status.reason.as_deref()), (SensorState::Ok, reason));
        }
    }

    #[test]
    fn nothing_new_is_no_news_and_what_was_not_delivered_comes_again() {
        let mut frame = frame();
        frame.sense(1, now(), false);
        let first = frame.take();
        frame.sense(1, now(), false);
        assert!(!frame.has_news());
        frame.sense(0, now(), false);
        let second = frame.take();
        assert_eq!(second.transitions.len(), 1);
        frame.put_back(second);
        assert!(frame.has_news());
        assert_eq!(frame.take().transitions.len(), 1);
        assert_eq!(first.transitions.len(), 0);
    }
}
