//! One pair of hands behind laptops that stand apart: found by when they are worked on.
//!
//! An adapted farm gives each laptop an uplink of its own, and one operator still works on several of them in turn. Where
//! laptops stand says nothing of that; their times do. Every two laptops of a fleet cannot be compared, so only those are
//! that look worked on from afar by themselves: they show [`AnchorKind::FromAfar`], some in a thousand of a fleet.
//!
//! Null model: see [`Turns`]; of so many pairs the likeliest is picked, so their number is paid for in full.
//! Defeated by an operator for each laptop, and by laptops that show nothing of being worked on from afar.

use std::collections::BTreeSet;

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::judge::Judged;
use farmwatch_shared::usage::Usage;
use jiff::{SignedDuration, Timestamp};

use super::evidence::rhythm::Turns;
use super::{anchors, look_back};
use crate::app::App;
use crate::store::{Anchor, AnchorKind, AnchorSeen, Result};

/// P(farm-operated) from which a laptop is compared with others like it.
const CANDIDATE: f64 = 0.005;
/// Most that are compared with one: more, and the first are.
const MOST: u32 = 200;
/// What is left of a pair's nats, after their number is paid for, before they are joined.
const JOIN: f64 = 3.0;
/// Joined ones part only below this.
const PART: f64 = 0.0;
/// Each is compared once in so long.
const SLOT: SignedDuration = SignedDuration::from_hours(6);

/// What a laptop shows of this: that it is a candidate, and with whom it shares its operator.
pub async fn shown(
    app: &App,
    id: &DeviceId,
    judged: &Judged,
    usage: &Usage,
    before: &[AnchorSeen],
    now: Timestamp,
) -> Result<BTreeSet<Anchor>> {
    let mut shown = BTreeSet::new();
    if judged.posterior < CANDIDATE {
        return Ok(shown);
    }
    let candidates = candidates();
    let listed = before.iter().find(|seen| seen.current && seen.anchor == candidates);
    shown.insert(candidates.clone());
    let joined: BTreeSet<&Anchor> = before
        .iter()
        .filter(|seen| seen.current && seen.anchor.kind == AnchorKind::Operator)
        .map(|seen| &seen.anchor)
        .collect();
    if listed.is_some_and(|seen| !is_due(seen.last_seen, now)) {
        shown.extend(joined.into_iter().cloned());
        return Ok(shown);
    }
    if !Turns::may_speak(usage) {
        return Ok(shown);
    }
    let list = std::slice::from_ref(&candidates);
    let paid = ln_pairs(app.store.counts_at(list).await?.into_iter().sum());
    let mut others = app.store.devices_at(list, MOST).await?.concat();
    others.retain(|other| other != id);
    for (other, upto) in app.store.last_reports(&others).await? {
        let habit = app.habits.upto(&app.store, &other, look_back(now), upto).await?;
        let turns = Turns::of(usage, &habit.usage);
        app.habits.keep(&other, habit);
        let anchor = pair(id, &other);
        let enough = if joined.contains(&anchor) { PART } else { JOIN };
        if turns.speaks() && turns.nats() - paid >= enough {
            shown.insert(anchor);
        }
    }
    Ok(shown)
}

/// What the number of pairs costs: ln of how many there are, of 200 candidates at least.
pub fn ln_pairs(candidates: u64) -> f64 {
    let n = candidates.max(u64::from(MOST)) as f64;
    (n * (n - 1.0) / 2.0).ln()
}

/// The list of all that are worked on from afar.
pub fn candidates() -> Anchor {
    Anchor { kind: AnchorKind::FromAfar, value: "all".into() }
}

/// What two with one operator share.
fn pair(one: &DeviceId, other: &DeviceId) -> Anchor {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    Anchor { kind: AnchorKind::Operator, value: format!("{first}+{second}") }
}

/// A sighting that is about to be written again, in another slot than the last.
fn is_due(last: Timestamp, now: Timestamp) -> bool {
    let slot = |at: Timestamp| at.as_second().div_euclid(SLOT.as_secs());
    anchors::is_stale(last, now) && slot(last) != slot(now)
}

#[cfg(test)]
#[path = "operator_tests.rs"]
mod tests;
