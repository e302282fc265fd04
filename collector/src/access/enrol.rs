//! `POST /v1/enrol`: a token and a signing request buy an identity.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::wire::{EnrolRequest, Enrolment};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::connection::Connection;
use super::desk::{Applicant, Desk, read};
use super::{Refusal, token};
use crate::store::{Standing, Token};

/// How long a laptop that enrolled and has reported nothing yet may ask again with the same token: the answer may
/// have been lost on the way, and a token for one laptop would be spent.
const ASK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// Enrols a laptop.
pub async fn enrol(
    State(desk): State<Arc<Desk>>,
    Extension(connection): Extension<Arc<Connection>>,
    body: Bytes,
) -> Result<Json<Enrolment>, Refusal> {
    let now = Timestamp::now();
    let address = network_of(connection.address.ip());
    if desk.failures.is_spent(&address, now) {
        count("too_often");
        let message = "too many enrolments from this address have failed; try again in a minute";
        return Err(Refusal::too_often(message, 60));
    }
    match try_enrol(&desk, &body, now).await {
        Ok(enrolment) => {
            count("enrolled");
            Ok(Json(enrolment))
        }
        Err(refusal) => {
            count(refusal.word);
            let ours = refusal.status.is_server_error();
            if !ours && desk.failures.take(address, now) {
                let from = connection.address.ip();
                tracing::warn!(address = %from, error = refusal.word, message = refusal.message, "enrolment refused");
                if desk.audited_failures.take((), now) {
                    let why = format!("from {from}: {}", refusal.message);
                    desk.audit("enrol_refused", refusal.word, why, now).await?;
                }
            }
            Err(refusal)
        }
    }
}

async fn try_enrol(desk: &Desk, body: &[u8], now: Timestamp) -> Result<Enrolment, Refusal> {
    let wire: EnrolRequest = read(body)?;
    let applicant = Applicant::from_request(&wire)?;
    let hash = usable_hash(&wire.token)?;
    let token = desk.app.store.token(&hash).await?.ok_or_else(unknown)?;
    let remembered = format!("enrolment/{hash}/{}", applicant.machine);
    if let Some(device) = asked_before(desk, &remembered, &applicant, now).await? {
        return again(desk, device, &applicant, now).await;
    }
    fits(&token, &applicant, now)?;
    if !desk.app.store.use_token(&hash, now).await? {
        // Another laptop was faster with the last use.
        return Err(spent());
    }
    let doubts = doubts(desk, &applicant).await?;
    let standing = if doubts.is_empty() { Standing::Enrolled } else { Standing::Pending };
    let (id, issued) = desk.admit(&applicant, standing, now).await?;
    desk.app.store.put_value(&remembered, id.as_str()).await?;
    let serial = applicant.serial.as_deref().unwrap_or("none");
    tracing::info!(device = %id, token = token.hint, pending = !doubts.is_empty(), "enrolled");
    desk.audit("enrol", id.as_str(), format!("with token {}…, serial {serial}", token.hint), now).await?;
    for doubt in doubts {
        doubt.raise(desk, &id, now).await?;
    }
    Ok(desk.enrolment(id, issued))
}

/// Something that IT should look at before the device is an ordinary one.
enum Doubt {
    /// Another device has this serial number.
    SerialTaken { serial: String, by: Vec<DeviceId> },
    /// The asset list does not have this serial number, or the laptop tells none.
    NotListed { serial: Option<String> },
}

async fn doubts(desk: &Desk, applicant: &Applicant) -> Result<Vec<Doubt>, Refusal> {
    let store = &desk.app.store;
    let mut found = Vec::new();
    if let Some(serial) = &applicant.serial {
        let same = store.devices_by_serial(serial).await?.into_iter();
        let by: Vec<DeviceId> =
            same.filter(|device| device.standing != Standing::Revoked).map(|device| device.id).collect();
        if !by.is_empty() {
            found.push(Doubt::SerialTaken { serial: serial.clone(), by });
        }
    }
    if store.has_assets().await? {
        let listed = match &applicant.serial {
            Some(serial) => store.asset(serial).await?.is_some(),
            None => false,
        };
        if !listed {
            found.push(Doubt::NotListed { serial: applicant.serial.clone() });
        }
    }
    Ok(found)
}

impl Doubt {
    async fn raise(self, desk: &Desk, id: &DeviceId, now: Timestamp) -> Result<(), Refusal> {
        match self {
            Self::NotListed { serial } => {
                let why = match serial {
                    Some(serial) => format!("pending: serial {serial} is not on the asset list"),
                    None => "pending: it tells no serial number, so it is not on the asset list".to_owned(),
                };
                desk.audit("pending", id.as_str(), why, now).await
            }
            Self::SerialTaken { serial, by } => {
                let others = by.iter().map(DeviceId::as_str).collect::<Vec<_>>().join(", ");
                let what = format!("two devices claim serial {serial}: {id}, enrolled now, and {others}");
                desk.conflict(id, &what, now).await
            }
        }
    }
}

fn usable_hash(text: &str) -> Result<String, Refusal> {
    let hash = token::hash(text.trim());
    let text: SecretString = text.trim().into();
    if token::is_well_formed(&text) { Ok(hash) } else { Err(unknown()) }
}

fn fits(token: &Token, applicant: &Applicant, now: Timestamp) -> Result<(), Refusal> {
    if token.expires_at <= now {
        let message = format!("the token ended at {}; ask IT for a new one", token.expires_at);
        return Err(Refusal::new(StatusCode::FORBIDDEN, "token_expired", message));
    }
    if token.uses_left == 0 {
        return Err(spent());
    }
    match (&token.serial, &applicant.serial) {
        (Some(bound), told) if told.as_ref().is_none_or(|told| !told.eq_ignore_ascii_case(bound)) => {
            let message =
                "the token is for a laptop with another serial number; ask IT for one for this laptop";
            Err(Refusal::new(StatusCode::FORBIDDEN, "token_other_serial", message))
        }
        _ => Ok(()),
    }
}

/// The device that this hardware became with this token a moment ago, if it has reported nothing yet.
async fn asked_before(
    desk: &Desk,
    remembered: &str,
    applicant: &Applicant,
    now: Timestamp,
) -> Result<Option<DeviceId>, Refusal> {
    let Some(id) = desk.app.store.value(remembered).await? else { return Ok(None) };
    let Ok(id) = id.parse::<DeviceId>() else { return Ok(None) };
    let device = desk.app.store.device(&id).await?;
    let same = device.is_some_and(|device| {
        device.standing != Standing::Revoked
            && device.last_seen.is_none()
            && device.serial == applicant.serial
            && now.duration_since(device.enrolled_at) < ASK_AGAIN
    });
    Ok(same.then_some(id))
}

async fn again(
    desk: &Desk,
    id: DeviceId,
    applicant: &Applicant,
    now: Timestamp,
) -> Result<Enrolment, Refusal> {
    let issued = desk.sign(&id, &applicant.request, now)?;
    desk.app.store.set_certificates(&id, std::slice::from_ref(&issued.serial)).await?;
    desk.audit("enrol", id.as_str(), "asked again before its first report; same device".into(), now).await?;
    Ok(desk.enrolment(id, issued))
}

fn unknown() -> Refusal {
    let message = "this collector has no such token; was it cut when it was copied, or removed? \
                   `farmwatch-collector tokens list` shows those there are";
    Refusal::new(StatusCode::FORBIDDEN, "token_unknown", message)
}

fn spent() -> Refusal {
    let message = "the token has been used as often as it may; ask IT for a new one";
    Refusal::new(StatusCode::FORBIDDEN, "token_spent", message)
}

fn count(result: &'static str) {
    metrics::counter!("farmwatch_enrol_attempts_total", "result" => result).increment(1);
}

/// Whom failures are counted against: an IPv4 address, or an IPv6 network of one subscriber.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}
