use serde::{Deserialize, Serialize};

use super::Family;

/// Mains, battery, lid, sleep. One fact, key `power/self`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Power {
    /// On mains; `None` where the machine has no such sensor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mains: Option<bool>,
    /// It has a battery.
    pub battery: bool,
    /// The lid is closed; `None` without a lid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lid_closed: Option<bool>,
    /// It is set never to sleep by itself; `None` where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never_sleeps: Option<bool>,
    /// Programs that hold it awake now, names only, catalogue and system services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep_awake: Vec<String>,
}

impl Family for Power {
    const NAME: &'static str = "power";
}
