//! What Farmwatch does by itself when an alert stands: a pure function, and its guardrails.

use crate::policy::{QuarantineMode, QuarantinePolicy};
use crate::store::AlertKind;

/// What a decision about one laptop rests on.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts about one laptop")]
pub struct Case<'a> {
    /// The operator's policy.
    pub policy: &'a QuarantinePolicy,
    /// Learning mode is on.
    pub learning: bool,
    /// The alert's kind.
    pub kind: AlertKind,
    /// The alert is open.
    pub open: bool,
    /// P(farm-operated) of this laptop by this alert; `None` for policy alerts.
    pub probability: Option<f64>,
    /// It stands in a sanctioned place.
    pub sanctioned: bool,
    /// By a site's alert, and it shows nothing that says where the others stand: only who works on them joins it to them.
    pub apart: bool,
    /// It is on the list of those never isolated by themselves.
    pub exempt: bool,
    /// An isolation is ordered and not past, or the laptop says that it is isolated.
    pub isolated: bool,
    /// A person released it lately.
    pub released_by_person: bool,
    /// Farmwatch has isolated it for this alert before, and that has ended.
    pub had_its_time: bool,
    /// Isolations by Farmwatch itself in the last hour, everywhere.
    pub in_last_hour: u64,
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Quarantine is off: nothing, and nothing is said.
    Off,
    /// Would isolate; dry run.
    DryRun,
    /// Proposes it to a person.
    Ask,
    /// Isolates.
    Auto,
    /// Does not, and why.
    Refused(Refused),
}

/// Why Farmwatch does not isolate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Policy alerts never isolate by themselves.
    PolicyAlert,
    /// The alert is resolved.
    Resolved,
    /// Learning mode.
    Learning,
    /// The probability is below the threshold.
    BelowThreshold,
    /// The laptop stands in a sanctioned place.
    Sanctioned,
    /// It stands elsewhere than the others of its site: a person decides.
    Apart,
    /// The laptop is exempt.
    Exempt,
    /// It is isolated already.
    AlreadyIsolated,
    /// A person released it lately: a person decides.
    ReleasedByPerson,
    /// It was isolated for this alert before and that has ended: a person decides.
    HadItsTime,
    /// As many as policy allows were isolated in the last hour.
    Cap,
}

/// Decides. The order is from "never" to "not now", so that the reason that is told is the lasting one.
pub fn decide(case: &Case<'_>) -> Decision {
    let policy = case.policy;
    if policy.mode == QuarantineMode::Off {
        return Decision::Off;
    }
    let refusals = [
        (case.kind == AlertKind::Policy, Refused::PolicyAlert),
        (case.learning, Refused::Learning),
        (!case.open, Refused::Resolved),
        (case.probability.is_none_or(|p| p.is_nan() || p < policy.threshold), Refused::BelowThreshold),
        (case.sanctioned, Refused::Sanctioned),
        (case.apart, Refused::Apart),
        (case.exempt, Refused::Exempt),
        (case.isolated, Refused::AlreadyIsolated),
        (case.released_by_person, Refused::ReleasedByPerson),
        (case.had_its_time, Refused::HadItsTime),
    ];
    if let Some((_, why)) = refusals.into_iter().find(|(applies, _)| *applies) {
        return Decision::Refused(why);
    }
    let capped = case.in_last_hour >= u64::from(policy.cap_per_hour);
    match policy.mode {
        QuarantineMode::Off => Decision::Off,
        QuarantineMode::Ask => Decision::Ask,
        QuarantineMode::Auto | QuarantineMode::DryRun if capped => Decision::Refused(Refused::Cap),
        QuarantineMode::DryRun => Decision::DryRun,
        QuarantineMode::Auto => Decision::Auto,
    }
}

impl Decision {
    /// One word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DryRun => "dry_run",
            Self::Ask => "ask",
            Self::Auto => "auto",
            Self::Refused(_) => "refused",
        }
    }

    /// The decision and its reason, without numbers that move, so that the same decision reads the same.
    pub fn why(self, policy: &QuarantinePolicy) -> String {
        let threshold = policy.threshold;
        match self {
            Self::Off => "off: quarantine is off".to_owned(),
            Self::DryRun => format!("dry_run: would isolate, at or above the threshold of {threshold}"),
            Self::Ask => format!("ask: proposes to isolate, at or above the threshold of {threshold}"),
            Self::Auto => format!("auto: isolates, at or above the threshold of {threshold}"),
            Self::Refused(why) => format!("refused: {}", why.words(policy)),
        }
    }
}

impl Refused {
    fn words(self, policy: &QuarantinePolicy) -> String {
        match self {
            Self::PolicyAlert => "policy alerts never isolate by themselves".to_owned(),
            Self::Resolved => "the alert is resolved".to_owned(),
            Self::Learning => "learning mode only counts".to_owned(),
            Self::BelowThreshold => format!("below the threshold of {}", policy.threshold),
            Self::Sanctioned => "the laptop stands in a sanctioned place".to_owned(),
            Self::Apart => "nothing but who works on it joins it to the others; a person decides".to_owned(),
            Self::Exempt => "the laptop is exempt".to_owned(),
            Self::AlreadyIsolated => "isolated already".to_owned(),
            Self::ReleasedByPerson => "a person released it lately; a person decides".to_owned(),
            Self::HadItsTime => "isolated for this alert before; a person decides".to_owned(),
            Self::Cap => format!("the cap of {} in an hour is reached", policy.cap_per_hour),
        }
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
