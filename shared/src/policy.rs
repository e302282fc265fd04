//! What IT decides for the agents: signed by the collector, fetched by each.

use std::net::{IpAddr, SocketAddr};

use jiff::civil::Weekday;
use serde::{Deserialize, Serialize};

use crate::facts::SENSORS;
use crate::sealed::Purpose;

/// Policy for agents. Every field has a default, so a policy file says only what differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentPolicy {
    /// Seconds between heartbeats of a quiet laptop, ± 20 %. 60 to 3600.
    pub heartbeat_seconds: u32,
    /// Level 2 (account hashes of remote tools, neighbours' hashes) may be sent while a finding stands.
    pub level_2: bool,
    /// Catalogue ids of tools that IT sanctions everywhere: no finding that would begin level 2 rests on them. The collector
    /// fills it from its own policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sanctioned_tools: Vec<String>,
    /// Keys of facts that IT sanctions, such as its own KVM's `display/HDMI-A-1`, likewise. (Hashes of serial numbers and
    /// accounts are made anew by the collector, so an agent could not compare them.)
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sanctioned_things: Vec<String>,
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
            sanctioned_tools: Vec::new(),
            sanctioned_things: Vec::new(),
            sensors_off: Vec::new(),
            isolation: IsolationPolicy::default(),
            spool_mib: 64,
            quiet_hours: Vec::new(),
        }
    }
}

impl AgentPolicy {
    /// What in it agents cannot follow, and would pass over: one sentence each.
    pub fn slips(&self) -> Vec<String> {
        let mut slips = Vec::new();
        for text in self.isolation.allow.iter().filter(|text| allowed(text).is_none()) {
            slips.push(format!(
                "isolation.allow has {text:?}; it should be an address or a network, as 203.0.113.7, 2001:db8::/48 or \
                 203.0.113.7:443 (names are not looked up on an isolated laptop)"
            ));
        }
        for name in self.sensors_off.iter().filter(|name| !SENSORS.contains(&name.as_str())) {
            slips.push(format!("sensors_off has {name:?}; it should be one of {}", SENSORS.join(", ")));
        }
        for span in &self.quiet_hours {
            if minute(&span.from).is_none() || minute(&span.to).is_none() {
                slips.push(format!("quiet_hours go from {:?} to {:?}; times are HH:MM", span.from, span.to));
            }
            for day in span.days.iter().filter(|day| weekday(day).is_none()) {
                slips.push(format!(
                    "quiet_hours has the day {day:?}; it should be mon, tue, wed, thu, fri, sat or sun"
                ));
            }
        }
        slips
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

/// Reads an entry of [`IsolationPolicy::allow`]: address or network, and port. `None` if it is none: nothing unchecked
/// reaches a firewall.
pub fn allowed(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_string(), Some(address.port())));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_string(), None));
    }
    let (address, bits) = text.split_once('/')?;
    let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u8>().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (1..=most).contains(&bits).then(|| (format!("{address}/{bits}"), None))
}

/// `HH:MM` as minutes of a day, `24:00` included.
pub fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    (hour <= 24 && minute < 60 && hour * 60 + minute <= 24 * 60).then(|| hour * 60 + minute)
}

/// A day by its first three letters.
pub fn weekday(name: &str) -> Option<Weekday> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_agents_would_pass_over_is_named() {
        assert_eq!(AgentPolicy::default().slips(), [""; 0]);
        let quiet = |from: &str, day: &str| QuietHours {
            days: vec![day.into()],
            from: from.into(),
            to: "07:00".into(),
        };
        let policy = AgentPolicy {
            sensors_off: vec!["activity".into(), "usb".into()],
            isolation: IsolationPolicy {
                allow: ["203.0.113.7:443", "edr.example.com", "203.0.113.0/33"].map(String::from).to_vec(),
                ..IsolationPolicy::default()
            },
            quiet_hours: vec![quiet("19:00", "fri"), quiet("7pm", "friday")],
            ..AgentPolicy::default()
        };
        let slips = policy.slips();
        assert_eq!(slips.len(), 5, "{slips:?}");
        for (slip, word) in
            slips.iter().zip(["edr.example.com", "203.0.113.0/33", "\"usb\"", "7pm", "friday"])
        {
            assert!(slip.contains(word), "{slip}");
        }
    }

    #[test]
    fn an_hour_beyond_all_days_is_no_time() {
        assert_eq!(minute("24:00"), Some(1440));
        for text in ["24:01", "65535:00", "1:60", "", "x:y", "-1:00"] {
            assert_eq!(minute(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_addresses_gets_through_the_allow_list(text in "\\PC{0,40}") {
            if let Some((network, _)) = allowed(&text) {
                prop_assert!(network.bytes().all(|b| b.is_ascii_hexdigit() || b"./:".contains(&b)));
            }
        }
    }
}
