//! The life of an alert: raised, updated in place, resolved by a person, reopened by new evidence only.

use farmwatch_shared::id::{AlertId, DeviceId, SiteId};
use farmwatch_shared::waterfall::Bar;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::FARMWATCH;
use crate::store::{Alert, AlertEvent, AlertKind, AlertState, Change, Disposition, Severity, Told};

/// Most pieces of evidence that an alert remembers; the oldest go first.
const MOST_PIECES: usize = 400;
/// A posterior that moves by less is not worth a write.
const POSTERIOR_STEP: f64 = 0.02;
/// A posterior that moves by this much is a step in the alert's life.
const POSTERIOR_EVENT: f64 = 0.1;
/// A bar that moves by less, in nats, is not worth a write.
const BAR_STEP: f64 = 0.25;
/// What a policy alert says when its thing is no longer there.
const NOT_SEEN: &str = "Not seen since ";
/// Begins a piece of evidence that says "it happened once more": it reopens what was resolved as a breach, and
/// not what was allowed.
pub const AGAIN: &str = "again:";

/// What an alert would say now.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// What it is about; see [`Alert::key`].
    pub key: String,
    /// Its kind.
    pub kind: AlertKind,
    /// How loud.
    pub severity: Severity,
    /// A few words.
    pub title: String,
    /// Plain language: why, what would clear it, what to do now.
    pub summary: String,
    /// Whose it is.
    pub devices: Vec<DeviceId>,
    /// The site, for a site alert.
    pub site: Option<SiteId>,
    /// P(farm-operated) or P(farm); none for policy alerts.
    pub posterior: Option<f64>,
    /// The sum.
    pub waterfall: Vec<Bar>,
    /// What it rests on.
    pub evidence: Vec<Piece>,
    /// The alert that takes it in.
    pub absorbed_by: Option<AlertId>,
}

/// One thing that an alert rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Names it, the same each time it is seen.
    pub id: String,
    /// In words, for the timeline.
    pub why: String,
}

/// An alert as it is to be written, and the steps of its life that led there.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The alert, its version one above the stored one's.
    pub alert: Alert,
    /// Steps.
    pub events: Vec<AlertEvent>,
    /// Raised, reopened, or its evidence, severity or posterior moved: worth telling.
    pub material: bool,
}

impl Written {
    /// The writes that this takes.
    pub fn changes(self) -> Vec<Change> {
        let events = self.events.into_iter().map(Change::AlertEvent);
        std::iter::once(Change::PutAlert(Box::new(self.alert))).chain(events).collect()
    }
}

/// What becomes of a draft: a new alert, an alert updated in place, one reopened, or nothing to write.
///
/// `id` is for the alert if it is a new one.
pub fn bring(existing: Option<&Alert>, draft: Draft, id: AlertId, now: Timestamp) -> Option<Written> {
    let Some(old) = existing else { return Some(raise(draft, id, now)) };
    let new: Vec<Piece> = draft.evidence.iter().filter(|p| is_new(old, p)).cloned().collect();
    if old.state == AlertState::Resolved {
        return (!new.is_empty()).then(|| reopen(old, draft, &new, now));
    }
    update(old, draft, &new, now)
}

/// An open alert whose thing is no longer there says so; it stays until a person resolves it.
pub fn no_longer_seen(old: &Alert, now: Timestamp) -> Option<Written> {
    note(old, NOT_SEEN, "no longer seen; stays open until somebody resolves it", now)
}

/// An open alert says once that something has changed, with the time: `opening` begins the sentence.
pub fn note(old: &Alert, opening: &str, what: &str, now: Timestamp) -> Option<Written> {
    if old.state == AlertState::Resolved || old.summary.contains(opening) {
        return None;
    }
    let mut alert = next(old, now);
    alert.summary = format!("{}\n\n{opening}{}.", old.summary, minute(now));
    Some(Written { alert, events: vec![event(old, now, what)], material: false })
}

/// What an alert is about is over: an open one says so once, and what it rested on is forgotten, so that the next time is
/// news. What is said: the beginning of a sentence, and what happened.
pub fn over(old: &Alert, (opening, what): (&str, &str), now: Timestamp) -> Option<Written> {
    if old.evidence.is_empty() {
        return None;
    }
    let noted = note(old, opening, what, now);
    let written =
        noted.unwrap_or_else(|| Written { alert: next(old, now), events: Vec::new(), material: false });
    Some(Written { alert: Alert { evidence: Vec::new(), ..written.alert }, ..written })
}

/// What IT allows now is settled: an open alert is resolved as authorised. What it rested on is forgotten, so that all of it
/// is news once IT allows it no more.
pub fn settle(old: &Alert, what: &str, now: Timestamp) -> Option<Written> {
    if old.state == AlertState::Resolved {
        return None;
    }
    let alert = Alert { evidence: Vec::new(), ..resolved(old, Disposition::Authorised, now) };
    Some(Written {
        alert,
        events: vec![event(old, now, &format!("resolved as authorised: {what}"))],
        material: true,
    })
}

/// An open alert comes under another one (a site's, that of a tool that the fleet has), or leaves it.
pub fn absorb(old: &Alert, by: Option<&AlertId>, now: Timestamp) -> Option<Written> {
    if old.state == AlertState::Resolved || old.absorbed_by.as_ref() == by {
        return None;
    }
    let what = match by {
        Some(by) => format!("taken in by the alert {by}"),
        None => "stands alone again".to_owned(),
    };
    let alert = Alert { absorbed_by: by.cloned(), ..next(old, now) };
    Some(Written { alert, events: vec![event(old, now, &what)], material: false })
}

/// SHA-256 over an alert's evidence, hex: what it was resolved on.
pub fn digest(evidence: &[String]) -> String {
    let mut sorted: Vec<&String> = evidence.iter().collect();
    sorted.sort();
    let mut hash = Sha256::new();
    for piece in sorted {
        hash.update(piece);
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

/// The alert, resolved on what it rests on.
pub(super) fn resolved(old: &Alert, disposition: Disposition, now: Timestamp) -> Alert {
    Alert {
        state: AlertState::Resolved,
        disposition: Some(disposition),
        resolved_on: Some(digest(&old.evidence)),
        ..next(old, now)
    }
}

/// The alert with the next version.
pub(super) fn next(old: &Alert, now: Timestamp) -> Alert {
    Alert { version: old.version + 1, updated_at: now, ..old.clone() }
}

/// A time as people read it, to the minute.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// One of these pieces is new to an alert, as far as it is told.
pub fn is_news(old: &Alert, pieces: &[Piece]) -> bool {
    pieces.iter().any(|piece| is_new(old, piece))
}

fn is_new(old: &Alert, piece: &Piece) -> bool {
    let allowed = matches!(
        old.disposition,
        Some(
            Disposition::Authorised | Disposition::FalsePositive | Disposition::Test | Disposition::Duplicate
        )
    );
    let silent = allowed && piece.id.starts_with(AGAIN);
    !silent && !old.evidence.contains(&piece.id)
}

fn raise(draft: Draft, id: AlertId, now: Timestamp) -> Written {
    let alert = Alert {
        id,
        key: draft.key,
        kind: draft.kind,
        state: AlertState::New,
        disposition: None,
        severity: draft.severity,
        title: draft.title,
        summary: draft.summary,
        devices: draft.devices,
        site: draft.site,
        posterior: draft.posterior,
        waterfall: draft.waterfall,
        absorbed_by: draft.absorbed_by,
        assignee: None,
        resolved_on: None,
        told: Some(Told { severity: draft.severity, posterior: draft.posterior }),
        evidence: draft.evidence.into_iter().map(|piece| piece.id).collect(),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let events = vec![event(&alert, now, &format!("raised: {}", alert.title))];
    Written { alert, events, material: true }
}

fn reopen(old: &Alert, draft: Draft, new: &[Piece], now: Timestamp) -> Written {
    let was = old.disposition;
    let mut alert = filled(old, draft, now);
    alert.told = Some(Told::of(&alert));
    alert.state = AlertState::New;
    alert.disposition = None;
    alert.assignee = None;
    let was = was.map(|d| format!(" (was resolved as {})", d.words())).unwrap_or_default();
    let what = format!("reopened by new evidence{was}: {}", told(new));
    Written { events: vec![event(old, now, &what)], alert, material: true }
}

fn update(old: &Alert, draft: Draft, new: &[Piece], now: Timestamp) -> Option<Written> {
    let mut alert = filled(old, draft, now);
    // Measured from what was last told, not from what was last written: steps that are small one by one add up, and what
    // swings about a limit is told once.
    let before = old.told.unwrap_or(Told::of(old));
    let louder = alert.severity > before.severity;
    let since_told = moved(before.posterior, alert.posterior);
    let moved = moved(old.posterior, alert.posterior);
    let mut events = Vec::new();
    if !new.is_empty() {
        events.push(event(old, now, &format!("new evidence: {}", told(new))));
    } else if since_told >= POSTERIOR_EVENT {
        let (was, is) = (before.posterior.unwrap_or(0.0), alert.posterior.unwrap_or(0.0));
        events.push(event(old, now, &format!("probability went from {was:.2} to {is:.2}")));
    }
    if old.summary.contains(NOT_SEEN) && !alert.summary.contains(NOT_SEEN) && new.is_empty() {
        events.push(event(old, now, "seen again"));
    }
    if louder {
        events.push(event(old, now, &format!("severity raised to {}", alert.severity.words())));
    }
    if old.absorbed_by != alert.absorbed_by {
        events.extend(absorb(old, alert.absorbed_by.as_ref(), now).map(|w| w.events).unwrap_or_default());
    }
    let material = !new.is_empty() || louder || since_told >= POSTERIOR_EVENT;
    // How loud it was once told to be stays told.
    alert.told = Some(if material {
        Told { severity: before.severity.max(alert.severity), posterior: alert.posterior }
    } else {
        before
    });
    let differs = material
        || !events.is_empty()
        || moved >= POSTERIOR_STEP
        || alert.title != old.title
        || alert.devices != old.devices
        || alert.severity != old.severity
        || bars_differ(&old.waterfall, &alert.waterfall)
        || (alert.posterior.is_none() && alert.summary != old.summary);
    differs.then_some(Written { alert, events, material })
}

/// The old alert with what the draft says.
fn filled(old: &Alert, draft: Draft, now: Timestamp) -> Alert {
    let mut evidence = old.evidence.clone();
    for piece in draft.evidence {
        if !evidence.contains(&piece.id) {
            evidence.push(piece.id);
        }
    }
    evidence.drain(..evidence.len().saturating_sub(MOST_PIECES));
    Alert {
        severity: draft.severity,
        title: draft.title,
        summary: draft.summary,
        devices: draft.devices,
        site: draft.site,
        posterior: draft.posterior,
        waterfall: draft.waterfall,
        absorbed_by: draft.absorbed_by,
        evidence,
        ..next(old, now)
    }
}

fn moved(was: Option<f64>, is: Option<f64>) -> f64 {
    (was.unwrap_or(0.0) - is.unwrap_or(0.0)).abs()
}

fn bars_differ(was: &[Bar], is: &[Bar]) -> bool {
    was.len() != is.len()
        || was
            .iter()
            .zip(is)
            .any(|(a, b)| a.rule != b.rule || a.device != b.device || (a.llr - b.llr).abs() >= BAR_STEP)
}

fn told(pieces: &[Piece]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for piece in pieces {
        if !words.contains(&piece.why.as_str()) {
            words.push(&piece.why);
        }
    }
    let rest = words.len().saturating_sub(3);
    let text = words.into_iter().take(3).collect::<Vec<_>>().join("; ");
    if rest > 0 { format!("{text}; and {rest} more") } else { text }
}

fn event(alert: &Alert, at: Timestamp, what: &str) -> AlertEvent {
    AlertEvent { alert: alert.id.clone(), at, actor: FARMWATCH.to_owned(), what: what.to_owned() }
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
