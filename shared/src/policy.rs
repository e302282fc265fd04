//! What IT decides for the agents: signed by the collector, fetched by each.

use serde::{Deserialize, Serialize};

use crate::sealed::Purpose;

/// Policy for agents. Every field has a default, so a policy file says only what differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentPolicy {
    /// Seconds between heartbeats of a quiet laptop, ± 20 %. 60 to 3600.
    pub heartbeat_seconds: u32,
    /// Level 2 (timing histograms, account and neighbour hashes) may be sent while a finding stands.
    pub level_2: bool,
    /// Sensors that stay off, by the name of their family.
    pub sensors_off: Vec<String>,
    /// Isolation.
    pub isolation: IsolationPolicy,
    /// Spool's bound in MiB.
    pub spool_mib: u32,
    /// Times at which sensors are off: outside working hours, on weekends. Empty: never.
    pub quiet_hours: Vec<QuietHours>,
}

impl Default for AgentPolicy {
    fn default() -> Self {
        Self {
            heartbeat_seconds: 300,
            level_2: true,
            sensors_off: Vec::new(),
            isolation: IsolationPolicy::default(),
            spool_mib: 64,
            quiet_hours: Vec::new(),
        }
    }
}

impl Purpose for AgentPolicy {
    const WORD: &'static str = "policy";
    const DEVICE_BOUND: bool = false;
}

/// What stays reachable when a laptop is isolated, and what its user is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IsolationPolicy {
    /// Addresses or networks that stay reachable beside the collector: EDR, MDM, help desk.
    /// `203.0.113.7`, `2001:db8::/48`, `203.0.113.7:443`.
    pub allow: Vec<String>,
    /// Whom the user may call; part of the notice on the screen.
    pub contact: String,
}

/// A span of local time in which sensors are off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuietHours {
    /// `mon` to `sun`.
    pub days: Vec<String>,
    /// Start, `HH:MM` local time.
    pub from: String,
    /// End, `HH:MM` local time; before `from` it is on the next day.
    pub to: String,
}
