//! Alerts about many laptops at once: what each of hundreds of alerts would say is said once, and anew whenever the number of
//! laptops has doubled.

use super::life::{AGAIN, Piece};
use super::{fleet_silence, fleet_tool};
use crate::store::{Alert, AlertKind};

/// What so many laptops have in common is the fleet's.
pub const MANY: u64 = 20;

/// Numbers of laptops at which an alert is told anew, each twice the last, up to those that there are.
fn steps(with: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(MANY), |step| step.checked_mul(2))
        .take_while(move |step| *step <= with.max(MANY))
}

/// The last of these numbers: so many there are at least.
pub fn at_least(with: u64) -> u64 {
    steps(with).last().unwrap_or(MANY)
}

/// Pieces of evidence of an alert about so many, by its key; `have` says what they do or have.
pub fn pieces(key: &str, with: u64, have: &str) -> Vec<Piece> {
    steps(with).map(|step| piece(key, step, have)).collect()
}

fn piece(key: &str, step: u64, have: &str) -> Piece {
    let again = if step > MANY { AGAIN } else { "" };
    Piece { id: format!("{again}{key}|{step}"), why: format!("{step} laptops or more {have}") }
}

/// Whether an alert takes others in: a place's those of its laptops, one about many those of each.
pub fn takes_in(alert: &Alert) -> bool {
    alert.kind == AlertKind::Site
        || fleet_tool::of_key(&alert.key).is_some()
        || alert.key == fleet_silence::KEY
}
