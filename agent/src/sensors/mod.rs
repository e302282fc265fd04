//! Sensors: each folder here looks at one side of the laptop and states facts about it.
//!
//! A sensor is asked to [`Sensor::sense`] now and then, and at once when something it watches says so
//! ([`Wake`]). It says everything that it sees each time; what changed is found out elsewhere. One thread runs
//! them all ([`start`]), so they need no locks; one that fails or panics loses its own facts, is reported as
//! `sensor/<name>` with the reason in words, and never stops the others.
//!
//! To add a sensor: a folder, and a line in [`SENSORS`]. What differs by operating system stands in
//! `linux.rs`, `windows.rs` and `macos.rs` beside the folder's `mod.rs`, chosen there.

mod arrivals;
#[cfg(target_os = "linux")]
mod assignments;
#[cfg(any(windows, test))]
pub(crate) mod devnode;
mod frame;
mod hot_plug;
#[cfg(target_os = "linux")]
mod inet_sockets;
mod kept;
#[cfg_attr(target_os = "linux", path = "kernel_events/linux.rs")]
#[cfg_attr(target_os = "macos", path = "kernel_events/macos.rs")]
#[cfg_attr(windows, path = "kernel_events/windows.rs")]
mod kernel_events;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod machine;
pub mod read;
mod run;
#[cfg(target_os = "linux")]
mod sysfs;

mod activity;
mod display;
mod hid_device;
mod host;
mod locale;
mod network;
mod power;
mod remote_tool;
mod session;
mod usb_device;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::facts::{Family, Transition, TransitionKind, Window};
use farmwatch_shared::id::HashKey;
use farmwatch_shared::state::{FactKey, State};
use jiff::Timestamp;
use serde_json::Value;

pub use activity::help as count_input_for_the_service;
pub use frame::sense_once;
#[cfg(target_os = "macos")]
pub(crate) use host::from_macos::{Platform, hostname as impersonal_hostname, platform};
pub use run::{Command, Control, Running, Wake, start};

/// How to build a sensor. It must not look at anything yet.
type Make = fn(&Config) -> Box<dyn Sensor>;

/// Every sensor, by the name of its family. They look in this order.
const SENSORS: &[(&str, Make)] = &[
    ("host", host::new),
    ("remote_tool", remote_tool::new),
    ("session", session::new),
    ("display", display::new),
    ("usb_device", usb_device::new),
    ("hid_device", hid_device::new),
    ("activity", activity::new),
    ("network", network::new),
    ("power", power::new),
    ("locale", locale::new),
];

/// What sensors go by.
#[derive(Clone, Debug)]
pub struct Config {
    /// Every sensor reads below this folder: `/`, or a test's.
    pub root: PathBuf,
    /// Where sensors keep what they must know after a restart; nowhere if they look but once.
    pub state: Option<PathBuf>,
    /// Hashes what must not leave the laptop in plain.
    pub hash_key: HashKey,
    /// Remote tools to look for.
    pub catalogue: Arc<Catalogue>,
    /// Sensors that IT's policy has off, by the name of their family.
    pub off: Vec<String>,
    /// Facts of level 2 may be stated now: policy allows them and a finding stands.
    pub level_2: bool,
}

impl Config {
    /// A folder or file of the laptop: `config.path("sys/class/drm")`.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below.trim_start_matches('/'))
    }

    /// The sensors look at a real machine, not at a test's folder: things that are not files (sockets, system
    /// calls) tell about it.
    pub fn is_live(&self) -> bool {
        self.root.as_os_str() == "/"
    }
}

/// What the sensors see.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Every fact of every family as it stands now, the sensors' own states among them.
    pub state: State,
    /// Activity windows that ended since the last observation.
    pub windows: Vec<Window>,
    /// What happened since the last observation.
    pub transitions: Vec<Transition>,
}

/// Code that produces one family of facts.
pub trait Sensor: Send {
    /// The family's name; `sensor/<name>` is the sensor's own state.
    fn name(&self) -> &'static str;

    /// How long until it wants to look again without being woken. Asked after each look.
    fn period(&self) -> Duration;

    /// Starts to listen for events, if there are any for it; called once, before its first look, and only
    /// where sensors keep running. Whatever it starts must end when the sensor is dropped.
    fn watch(&mut self, wake: Wake) {
        drop(wake);
    }

    /// Looks, and states all facts that hold now. An error drops all of them.
    fn sense(&mut self, now: Timestamp, out: &mut Sensed) -> Result<(), SensorError>;
}

/// Why a sensor sees nothing. The text says what is missing and what would mend it, for an operator; it never
/// names a person or a path in somebody's home.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SensorError {
    /// This machine or operating system has no such thing.
    #[error("{0}")]
    NotSupported(String),
    /// The agent lacks the right to look.
    #[error("{0}")]
    NotPermitted(String),
    /// It should see and does not.
    #[error("{0}")]
    Blind(String),
}

impl From<read::ReadError> for SensorError {
    fn from(error: read::ReadError) -> Self {
        match error.why {
            read::Why::Missing => Self::NotSupported(error.to_string()),
            read::Why::NotPermitted => Self::NotPermitted(error.to_string()),
            _ => Self::Blind(error.to_string()),
        }
    }
}

/// Takes what a sensor sees in one look.
#[derive(Debug)]
pub struct Sensed {
    config: Arc<Config>,
    facts: Vec<(FactKey, Value)>,
    windows: Vec<Window>,
    transitions: Vec<Transition>,
    trouble: Option<SensorError>,
    note: Option<String>,
}

impl Sensed {
    fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            facts: Vec::new(),
            windows: Vec::new(),
            transitions: Vec::new(),
            trouble: None,
            note: None,
        }
    }

    /// What sensors go by, as it is at this look.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config)
    }

    /// States a fact.
    pub fn fact<F: Family>(&mut self, name: &str, fact: &F) {
        let value = serde_json::to_value(fact).unwrap_or(Value::Null);
        self.facts.push((FactKey::of::<F>(name), value));
    }

    /// Hands over a finished activity window.
    pub fn window(&mut self, window: Window) {
        self.windows.push(window);
    }

    /// Says that something happened.
    pub fn transition(&mut self, at: Timestamp, kind: TransitionKind) {
        self.transitions.push(Transition { at, kind });
    }

    /// Some of what this sensor looks at cannot be seen; the facts stated are kept. The first trouble of a
    /// look is the one reported.
    pub fn partly(&mut self, error: SensorError) {
        self.trouble.get_or_insert(error);
    }

    /// Remarks on how it sees, while all is well: "process starts are found by polling".
    pub fn note(&mut self, text: impl Into<String>) {
        self.note.get_or_insert(text.into());
    }
}

#[cfg(test)]
pub(crate) mod test {
    //! What tests of sensors share.

    use std::path::Path;

    use super::{Arc, Catalogue, Config, HashKey, Observation, SENSORS, Sensed, Sensor, Timestamp};

    #[test]
    fn policy_can_name_every_sensor() {
        let names: Vec<_> = SENSORS.iter().map(|(name, _)| *name).collect();
        let mut known = farmwatch_shared::facts::SENSORS.to_vec();
        known.retain(|name| !names.contains(name));
        assert!(known.is_empty(), "{known:?} are none of {names:?}");
        assert_eq!(names.len(), farmwatch_shared::facts::SENSORS.len());
    }

    /// A configuration for a test's folder.
    pub(crate) fn config(root: &Path) -> Config {
        Config {
            root: root.to_owned(),
            state: None,
            hash_key: HashKey::new([7; 32]),
            catalogue: Arc::new(Catalogue::shipped()),
            off: Vec::new(),
            level_2: true,
        }
    }

    /// A time to look at: an afternoon in November 2026.
    pub(crate) fn now() -> Timestamp {
        "2026-11-24T15:00:30Z".parse().unwrap()
    }

    /// Writes files below a folder; parents are made.
    pub(crate) fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    /// One look of one sensor, by its family's name, below a folder.
    pub(crate) fn look(name: &str, root: &Path) -> Observation {
        let list: Vec<_> = SENSORS.iter().filter(|(n, _)| *n == name).copied().collect();
        assert_eq!(list.len(), 1, "one sensor is called {name}");
        let mut frame = super::frame::Frame::new(config(root), &list);
        frame.sense_all(now());
        frame.take()
    }

    /// One more look of a sensor that a test keeps, and what it said.
    pub(crate) fn again(sensor: &mut dyn Sensor, config: &Config, at: Timestamp) -> Observation {
        let mut sensed = Sensed::new(Arc::new(config.clone()));
        let mut observation = Observation::default();
        if sensor.sense(at, &mut sensed).is_ok() {
            sensed.facts.into_iter().for_each(|(key, value)| observation.state.set(key, value));
            observation.windows = sensed.windows;
            observation.transitions = sensed.transitions;
        }
        observation
    }
}
