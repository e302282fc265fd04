//! Sensors that do not see, and an agent that is silent.
//!
//! - **Physical cause**: who has something to hide blinds the sensor or stops the agent. Cause `agent`.
//! - **Cap**: assumption.
//! - **Innocent twins**: a broken driver, a holiday. A sensor that cannot work on a machine counts as nothing;
//!   one that is blind counts only where hardly any other laptop of its model is (the collector knows, see
//!   [`super::Context::unusually_blind`]); silence counts only while the laptop is seen elsewhere.
//! - **Defeated by** leaving the agent alone.

use super::{Evidence, finding};
use crate::facts::{SensorState, SensorStatus};
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["hygiene.blind", "hygiene.silent"];

/// Silence of a working day and a night, while the laptop is seen elsewhere.
const SILENT_SECONDS: u64 = 24 * 3600;

/// What sensors and silence say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    blind(evidence, weights).into_iter().chain(silent(evidence, weights)).collect()
}

fn blind(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    if evidence.context.unusually_blind.is_empty() {
        return None;
    }
    let unusual = |key: &FactKey| evidence.context.unusually_blind.iter().any(|name| name == key.name());
    let sensors = evidence.state.all::<SensorStatus>();
    let blind: Vec<FactKey> = sensors
        .filter(|(key, status)| status.state == SensorState::Blind && unusual(key))
        .map(|(key, _)| key.clone())
        .collect();
    let names: Vec<&str> = blind.iter().map(FactKey::name).collect();
    let names = names.join(", ");
    (!blind.is_empty()).then(|| Finding {
        technique: Some("T1562.001".into()),
        facts: blind,
        ..finding(
            weights,
            "hygiene.blind",
            Group::Hygiene,
            "agent",
            format!("blind here and not on other laptops of its model: {names}"),
        )
    })
}

fn silent(evidence: &Evidence<'_>, weights: &Weights) -> Option<Finding> {
    let seconds = evidence.context.silent_seconds;
    (seconds >= SILENT_SECONDS).then(|| {
        let why =
            format!("the agent has been silent for {} hours while the laptop was in use", seconds / 3600);
        Finding {
            technique: Some("T1562.001".into()),
            ..finding(weights, "hygiene.silent", Group::Hygiene, "agent", why)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn a_blind_sensor_counts_only_where_its_model_sees() {
        let mut case = Case::default();
        case.state.put("display", &SensorStatus::new(SensorState::Blind, "the EDID file does not end"));
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
        case.context.unusually_blind.push("display".into());
        assert_eq!(rule(&case.evidence(), &Weights::shipped())[0].rule, "hygiene.blind");
    }

    #[test]
    fn an_evening_of_silence_is_no_finding() {
        let mut case = Case::default();
        case.context.silent_seconds = 8 * 3600;
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
        case.context.silent_seconds = 30 * 3600;
        assert_eq!(rule(&case.evidence(), &Weights::shipped())[0].rule, "hygiene.silent");
    }
}
