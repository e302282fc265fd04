//! What people do to alerts, from the console and the command line alike.

use farmwatch_shared::id::AlertId;
use jiff::Timestamp;

use super::fleet::takes_in;
use super::life::{self, Written, next, resolved};
use crate::app::App;
use crate::store::{
    Alert, AlertEvent, AlertFilter, AlertKind, AlertState, Change, Disposition, Page, StoreError,
};

/// What a person does to an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Works on it from now on.
    Take,
    /// Closes it.
    Resolve {
        /// How.
        disposition: Disposition,
        /// Why; may be empty.
        note: String,
    },
    /// Opens it again.
    Reopen {
        /// Why.
        reason: String,
    },
    /// Adds a note to its timeline.
    Comment {
        /// The note.
        text: String,
    },
}

/// Why an action was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    /// No such alert.
    #[error("there is no alert {0}; `farmwatch-collector alerts list` shows those there are")]
    Unknown(AlertId),
    /// Somebody was faster.
    #[error(
        "the alert has changed since you looked (you saw version {seen}, it is now {now}); look again, then act"
    )]
    Outdated {
        /// The version that was looked at.
        seen: u64,
        /// The version that is there.
        now: u64,
    },
    /// It makes no sense in this state.
    #[error("{0}")]
    NotNow(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Does what a person decided, if the alert is still as that person saw it, and gives the alert as it is then.
///
/// Resolving a site alert resolves the device alerts that it has taken in. Policy alerts are resolved with it where
/// the place was a farm, a drill or told elsewhere; where it was not, they stand alone again: that a place is no farm
/// does not allow the tool. Resolving the alert about a tool that the fleet has resolves those of its laptops that it has taken in.
pub async fn change(
    app: &App,
    id: &AlertId,
    expected_version: u64,
    action: Action,
    actor: &str,
    now: Timestamp,
) -> Result<Alert, ChangeError> {
    let old = app.store.alert(id).await?.ok_or_else(|| ChangeError::Unknown(id.clone()))?;
    if old.version != expected_version {
        return Err(ChangeError::Outdated { seen: expected_version, now: old.version });
    }
    let alert = decided(&old, &action, actor, now)?;
    let mut changes = written(&alert, said(&action), actor, now);
    let of_place = old.kind == AlertKind::Site;
    if let Action::Resolve { disposition, .. } = &action {
        for own in taken_in(app, &old, &[AlertState::New, AlertState::InProgress]).await? {
            if of_place && own.kind == AlertKind::Policy && !settles_policy(*disposition) {
                changes.extend(life::absorb(&own, None, now).into_iter().flat_map(Written::changes));
                continue;
            }
            let resolved = resolved(&own, *disposition, now);
            changes.extend(written(
                &resolved,
                format!("resolved with the alert that had taken it in, {id}"),
                actor,
                now,
            ));
        }
    }
    match app.store.apply(changes).await {
        Ok(()) => Ok(alert),
        Err(StoreError::Conflict(_)) => {
            let now = app.store.alert(id).await?.map_or(old.version, |alert| alert.version);
            Err(ChangeError::Outdated { seen: expected_version, now })
        }
        Err(error) => Err(error.into()),
    }
}

/// How a site was closed says how its laptops' policy alerts are closed.
fn settles_policy(disposition: Disposition) -> bool {
    matches!(disposition, Disposition::Confirmed | Disposition::Test | Disposition::Duplicate)
}

/// What an action makes of an alert.
fn decided(old: &Alert, action: &Action, actor: &str, now: Timestamp) -> Result<Alert, ChangeError> {
    let resolved_already = old.state == AlertState::Resolved;
    match action {
        Action::Take if resolved_already => not_now("the alert is resolved; reopen it to work on it"),
        Action::Take => {
            Ok(Alert { state: AlertState::InProgress, assignee: Some(actor.to_owned()), ..next(old, now) })
        }
        Action::Resolve { .. } if resolved_already => not_now("the alert is resolved already"),
        Action::Resolve { disposition, .. } => Ok(resolved(old, *disposition, now)),
        Action::Reopen { .. } if !resolved_already => not_now("the alert is open already"),
        Action::Reopen { reason } if reason.trim().is_empty() => not_now("say why the alert is reopened"),
        Action::Reopen { .. } => Ok(Alert {
            state: AlertState::InProgress,
            disposition: None,
            resolved_on: None,
            assignee: Some(actor.to_owned()),
            ..next(old, now)
        }),
        Action::Comment { text } if text.trim().is_empty() => not_now("the comment is empty"),
        Action::Comment { .. } => Ok(next(old, now)),
    }
}

fn not_now(why: &str) -> Result<Alert, ChangeError> {
    Err(ChangeError::NotNow(why.to_owned()))
}

fn said(action: &Action) -> String {
    let with = |what: String, note: &str| match note.trim() {
        "" => what,
        note => format!("{what}: {note}"),
    };
    match action {
        Action::Take => "taken".to_owned(),
        Action::Resolve { disposition, note } => with(format!("resolved as {}", disposition.words()), note),
        Action::Reopen { reason } => with("reopened".to_owned(), reason),
        Action::Comment { text } => with("comment".to_owned(), text),
    }
}

fn written(alert: &Alert, what: String, actor: &str, at: Timestamp) -> Vec<Change> {
    let event = AlertEvent { alert: alert.id.clone(), at, actor: actor.to_owned(), what };
    vec![Change::PutAlert(Box::new(alert.clone())), Change::AlertEvent(event)]
}

/// The alerts in one of these states (all, if none is named) that one has taken in.
pub async fn taken_in(app: &App, by: &Alert, states: &[AlertState]) -> Result<Vec<Alert>, StoreError> {
    let mut all = Vec::new();
    if !takes_in(by) {
        return Ok(all);
    }
    let (states, absorbed_by) = (states.to_vec(), Some(by.id.clone()));
    let filter = AlertFilter { states, absorbed: true, absorbed_by, ..AlertFilter::default() };
    let mut page = Page::first(200);
    loop {
        let found = app.store.alerts(&filter, &page).await?;
        let more = page.turn(&found, |alert| alert.id.to_string());
        all.extend(found);
        if !more {
            break;
        }
    }
    Ok(all)
}
