//! The operator's policy file: what is forbidden, what is sanctioned, what may be cut off.

use std::path::Path;

use anyhow::Context as _;
use farmwatch_shared::policy::AgentPolicy;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The policy file that `init` writes: every setting with its default and what it means.
pub const COMMENTED: &str = include_str!("policy.toml");

/// The operator's policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Grows with each change that agents should take (see [`Self::for_agents`]); they fetch what is above theirs.
    pub version: u64,
    /// Only count what would alert; raise nothing.
    pub learning: bool,
    /// Catalogue ids of tools that IT sanctions everywhere.
    pub sanctioned_tools: Vec<String>,
    /// Hashes of tool accounts that IT sanctions: its own tenants.
    pub sanctioned_accounts: Vec<String>,
    /// Hashes of serials, or keys of facts, that IT sanctions: its own KVMs.
    pub sanctioned_things: Vec<String>,
    /// Keyboard layout and languages may be judged, against what IT recorded.
    pub judge_locale: bool,
    /// Hours of silence after which an agent is a policy alert; 0 is never.
    pub silent_after_hours: u32,
    /// Isolation.
    pub quarantine: QuarantinePolicy,
    /// Days for which things are kept.
    pub retention: Retention,
    /// For the agents.
    pub agent: AgentPolicy,
}

/// When a laptop is cut off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuarantinePolicy {
    /// What Farmwatch does by itself.
    pub mode: QuarantineMode,
    /// Posterior from which it does.
    pub threshold: f64,
    /// Most isolations in an hour, people's own not counted.
    pub cap_per_hour: u32,
    /// Never isolated by itself: device ids, serial numbers or users.
    pub exempt: Vec<String>,
    /// An isolation ends by itself after this many hours.
    pub expiry_hours: u32,
}

impl Default for QuarantinePolicy {
    fn default() -> Self {
        Self {
            mode: QuarantineMode::DryRun,
            threshold: 0.99,
            cap_per_hour: 5,
            exempt: Vec::new(),
            expiry_hours: 24,
        }
    }
}

/// What Farmwatch does by itself when an alert crosses the threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuarantineMode {
    /// Nothing, and nothing is said. People can still isolate.
    Off,
    /// Writes to the audit what it would do.
    #[default]
    DryRun,
    /// Asks: the alert carries a proposal that one click carries out.
    Ask,
    /// Isolates.
    Auto,
}

/// Days for which things are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Activity windows, transitions, reports as sent.
    pub windows_days: u32,
    /// What a laptop showed of its places (addresses, gateways, neighbours, docks, screens), from when it last showed it on.
    pub places_days: u32,
    /// Resolved alerts, from their last change on; 0 is for ever.
    pub alerts_days: u32,
    /// Sessions and enrolment tokens, from their end on.
    pub access_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { windows_days: 14, places_days: 90, alerts_days: 365, access_days: 30 }
    }
}

/// Where in the file [`Policy::for_agents`] comes from, for people who change it.
pub const AGENTS_GET: &str =
    "[agent], sanctioned_tools, and those of sanctioned_things that are a fact's key";

impl Policy {
    /// What agents are told: their own part, and what IT sanctions, so that nothing more is sent for it.
    pub fn for_agents(&self) -> AgentPolicy {
        let mut agent = self.agent.clone();
        agent.sanctioned_tools.extend(self.sanctioned_tools.iter().cloned());
        // Hashes are the store's and say nothing to agents; things named by their facts' keys do.
        let named = self.sanctioned_things.iter().filter(|thing| thing.contains('/'));
        agent.sanctioned_things.extend(named.cloned());
        agent
    }

    /// Reads a policy file.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the policy file {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the policy file {} is wrong", path.display()))
    }

    /// Reads a policy file's text. Unknown settings are errors, with their line.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let policy: Self = toml::from_str(text)?;
        let quarantine = &policy.quarantine;
        anyhow::ensure!(
            quarantine.threshold > 0.0 && quarantine.threshold <= 1.0,
            "quarantine.threshold is {}; it should be above 0 and at most 1",
            quarantine.threshold
        );
        anyhow::ensure!(
            (1..=720).contains(&quarantine.expiry_hours),
            "quarantine.expiry_hours is {}; it should be 1 to 720",
            quarantine.expiry_hours
        );
        anyhow::ensure!(
            (10..=3600).contains(&policy.agent.heartbeat_seconds),
            "agent.heartbeat_seconds is {}; it should be 10 to 3600",
            policy.agent.heartbeat_seconds
        );
        if let Some(slip) = policy.agent.slips().first() {
            anyhow::bail!("agent.{slip}");
        }
        // Agents pass over what they do not know, as they must: here it is a misspelt setting.
        let (said, known) = (toml::from_str::<Table>(text)?, Table::try_from(&policy)?);
        if let Some(name) = unknown(&said, &known, "") {
            let last = name.rsplit('.').next().unwrap_or_default();
            let line =
                text.lines().position(|line| line.trim_start().starts_with(last)).map_or(0, |at| at + 1);
            anyhow::bail!(
                "line {line}: there is no setting `{name}`; the file that `init` writes names those there are"
            );
        }
        Ok(policy)
    }
}

/// The first setting that is said and not known.
fn unknown(said: &Table, known: &Table, above: &str) -> Option<String> {
    said.iter().find_map(|(name, value)| {
        let path = format!("{above}{name}");
        match (value, known.get(name)) {
            (_, None) => Some(path),
            (Value::Table(said), Some(Value::Table(known))) => unknown(said, known, &format!("{path}.")),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_says_the_defaults() {
        let said = Policy::parse(COMMENTED).unwrap();
        assert_eq!(said, Policy { version: 1, silent_after_hours: 72, ..Policy::default() });
    }

    #[test]
    fn all_that_agents_get_is_named_where_people_are_told_to_raise_the_version() {
        let agent = AgentPolicy { heartbeat_seconds: 60, ..AgentPolicy::default() };
        let list = || vec!["display/HDMI-A-1".to_owned()];
        let changes = [
            ("learning", Policy { learning: true, ..Policy::default() }),
            ("sanctioned_tools", Policy { sanctioned_tools: list(), ..Policy::default() }),
            ("sanctioned_accounts", Policy { sanctioned_accounts: list(), ..Policy::default() }),
            ("sanctioned_things", Policy { sanctioned_things: list(), ..Policy::default() }),
            ("judge_locale", Policy { judge_locale: true, ..Policy::default() }),
            ("silent_after_hours", Policy { silent_after_hours: 1, ..Policy::default() }),
            ("[agent]", Policy { agent, ..Policy::default() }),
        ];
        let above_version = COMMENTED.split("version =").next().unwrap();
        for (setting, changed) in changes {
            let told = changed.for_agents() != Policy::default().for_agents();
            assert_eq!(AGENTS_GET.contains(setting), told, "{setting}");
            assert_eq!(above_version.contains(setting), told, "{setting}");
        }
    }

    #[test]
    fn a_name_where_an_isolated_laptop_needs_an_address_is_an_error() {
        let error =
            Policy::parse("[agent.isolation]\nallow = [\"edr.example.com\"]").unwrap_err().to_string();
        assert!(error.contains("edr.example.com") && error.contains("address"), "{error}");
    }

    #[test]
    fn a_misspelt_setting_is_an_error_with_its_line() {
        let error = Policy::parse("learning = false\nquarantin = 1").unwrap_err().to_string();
        assert!(error.contains("quarantin") && error.contains('2'), "{error}");
        let error =
            Policy::parse("[agent]\nlevel_2 = false\n[agent.isolation]\nalow = []").unwrap_err().to_string();
        assert!(error.contains("line 4") && error.contains("agent.isolation.alow"), "{error}");
    }
}
