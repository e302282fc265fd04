//! The facts an agent may report, one file per family.
//!
//! A fact is a typed, keyed statement about a device now; it is upserted or gone. Two kinds of data are not
//! facts: activity [`Window`]s and [`Transition`]s, which happened and do not change.
//!
//! All optional fields default, so that a fact of an older agent reads; unknown fields are kept by
//! [`crate::state::State`].

mod activity;
mod display;
mod hid_device;
mod host;
mod isolation;
mod locale;
mod network;
mod power;
mod remote_tool;
mod sensor;
mod session;
mod transition;
mod usb_device;

pub use activity::{Source, SourceKind, Window};
pub use display::{Display, EdidFacts};
pub use hid_device::{Bus, HidCaps, HidDevice};
pub use host::Host;
pub use isolation::{Isolation, IsolationState};
pub use locale::Locale;
pub use network::{LinkKind, Neighbour, Network};
pub use power::Power;
pub use remote_tool::{RemoteTool, Seen, SeenBy, ToolClass};
pub use sensor::{SensorState, SensorStatus};
pub use session::{Session, SessionKind};
pub use transition::{Transition, TransitionKind};
pub use usb_device::{UsbDevice, UsbInterface};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A family of facts.
pub trait Family: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The word before the `/` in the family's keys.
    const NAME: &'static str;
}

/// Families that only people read: a device is not judged anew when one of these facts changes. Every other one is read
/// by a rule ([`crate::rules::READ`]), by the collector where it looks for laptops that stand together, or says whether the
/// laptop is cut off.
pub const UNJUDGED: [&str; 1] = [Session::NAME];

/// Every sensor, by its family's name; `activity` states windows and no facts.
pub const SENSORS: [&str; 10] = [
    Host::NAME,
    RemoteTool::NAME,
    Session::NAME,
    Display::NAME,
    UsbDevice::NAME,
    HidDevice::NAME,
    "activity",
    Network::NAME,
    Power::NAME,
    Locale::NAME,
];

/// Every family, in the order of the design's table: for listings and coverage.
pub const FAMILIES: [&str; 11] = [
    Host::NAME,
    RemoteTool::NAME,
    Session::NAME,
    Display::NAME,
    UsbDevice::NAME,
    HidDevice::NAME,
    Network::NAME,
    Power::NAME,
    Locale::NAME,
    SensorStatus::NAME,
    Isolation::NAME,
];
