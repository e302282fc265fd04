use farmwatch_shared::judge::PlaceEvidence;
use jiff::Timestamp;

use super::super::DAY;
use super::super::view::{Member, SiteView};

/// Whole days at this place before a laptop can be at rest: a weekend is no rest.
const DAYS: i64 = 3;
/// Windows of work on a day: an hour. IT's setting up takes less.
const WORKED: usize = 12;
/// This share of them.
const NEARLY_ALL: f64 = 0.75;
/// From this Λ on its own facts show a way in, and what comes through that may be out of sight.
const WAY_IN: f64 = 4.0;
/// Fewer say nothing: a couple goes on holiday.
const FEWEST: usize = 3;

/// Against a farm: the laptops stand there and are touched for minutes, and nobody works on them, from near or far.
///
/// Null model: a farm's laptops are what it earns with, and are worked on nearly every working day (assumption); people's
/// laptops are at home as long as they are. On IT's bench and in a repair shop laptops wait. A laptop without any input
/// says nothing, because it may be out of sight; and so does one whose own facts show a way in.
pub fn at_rest(view: &SiteView<'_>) -> Option<PlaceEvidence> {
    let known: Vec<bool> = view.placed().filter_map(|member| rests(view, member)).collect();
    let resting = known.iter().filter(|rests| **rests).count();
    if resting < FEWEST || (resting as f64) < NEARLY_ALL * view.placed().count() as f64 {
        return None;
    }
    let why =
        format!("{resting} laptops have hardly been worked on since they came, for {DAYS} days and more");
    view.evidence("place.at_rest", 1.0, why)
}

/// Nobody has worked on it for an hour on any whole day since it came, though input was seen of late; `None` where that
/// cannot be told.
fn rests(view: &SiteView<'_>, member: &Member<'_>) -> Option<bool> {
    let day = |at: Timestamp| at.as_second().div_euclid(DAY);
    let (first, today) = (day(member.since?) + 1, day(view.heard(member)));
    let usage = view.beside.rhythms.get(&member.id)?;
    let seen = (today - DAYS..today).any(|day| usage.day(day).is_some());
    if !seen || today - first < DAYS {
        return None;
    }
    let idle = (first..today).all(|day| usage.day(day).is_none_or(|day| day.work.len() < WORKED));
    Some(idle && member.llr < WAY_IN)
}
