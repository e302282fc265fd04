//! One policy alert for all laptops about a tool that much of the fleet has and that IT has not spoken of: hundreds of alerts,
//! one for each laptop, would say the same.

use farmwatch_shared::facts::RemoteTool;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::rules::common::Share;
use farmwatch_shared::state::State;

use super::life::{AGAIN, Draft, Piece};
use super::words;
use crate::store::{Alert, AlertKind, Severity};

/// What so many laptops elsewhere have is the fleet's.
pub const MANY: u64 = 20;
const KEY: &str = "policy/tool/";

/// Key of the alert about a tool, by its id in the catalogue.
pub fn key(tool: &str) -> String {
    format!("{KEY}{tool}")
}

/// The tool that an alert of the whole fleet is about, by its key.
pub fn of_key(key: &str) -> Option<&str> {
    key.strip_prefix(KEY)
}

/// Whether an alert takes others in: a place's those of its laptops, that of a tool those of the laptops that have it.
pub fn takes_in(alert: &Alert) -> bool {
    alert.kind == AlertKind::Site || of_key(&alert.key).is_some()
}

/// Numbers of laptops at which the alert is told anew, each twice the last, up to those that have it.
fn steps(with: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(MANY), |step| step.checked_mul(2))
        .take_while(move |step| *step <= with.max(MANY))
}

fn piece(tool: &str, step: u64) -> Piece {
    let again = if step > MANY { AGAIN } else { "" };
    Piece { id: format!("{again}{}|{step}", key(tool)), why: format!("{step} laptops or more have it") }
}

/// The alert says that so many have the tool already, or that more do.
pub fn says(alert: &Alert, tool: &str, share: Share) -> bool {
    let last = steps(share.with).last().map(|step| piece(tool, step).id);
    last.is_some_and(|id| alert.evidence.contains(&id))
}

/// The draft, as seen from one of the laptops with that state; `listed` are the first of them.
pub fn draft(tool: &str, state: &State, share: Share, listed: Vec<DeviceId>) -> Draft {
    let name = words::tool(&state.get::<RemoteTool>(tool).unwrap_or_default());
    let at_least = steps(share.with).last().unwrap_or(MANY);
    let why = format!("{name} is on {at_least} laptops or more, and IT has not said whose it is");
    let summary = format!(
        "{} This is one alert for all of them, whoever comes; the first are listed here. A laptop that is suspected, by \
         itself or with its place, has one of its own.\n\n\
         So common a tool says little of any one laptop: a farm that is operated with it would show by other things only.\n\n\
         What would clear it: IT sanctions its own account of the tool, or the tool, in the policy file; or it is \
         removed.\n\n\
         What to do now: ask IT whether it rolled {name} out. If so, sanction the account rather than the tool, so that \
         another one's shows; if not, find out how it came to so many laptops.",
        words::sentence(&why)
    );
    Draft {
        key: key(tool),
        kind: AlertKind::Policy,
        severity: Severity::Medium,
        title: format!("{name} is on {at_least} laptops or more, and nobody has sanctioned it"),
        summary,
        devices: listed,
        site: None,
        posterior: None,
        waterfall: Vec::new(),
        evidence: steps(share.with).map(|step| piece(tool, step)).collect(),
        absorbed_by: None,
    }
}
