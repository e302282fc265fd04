//! `GET /v1/policy` and `GET /v1/catalogue`: signed once, handed out as they are.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use farmwatch_shared::policy::AgentPolicy;
use farmwatch_shared::sealed::{Envelope, Purpose, Sealed, seal};
use farmwatch_shared::wire::CatalogueFile;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::Refusal;
use crate::app::App;
use crate::policy::Policy;
use crate::store::{SharedStore, StoreError};

/// How long agents may act on what they fetched.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// It is signed anew when it is older than this, so that whoever fetches it has most of that time.
const SIGNED_ANEW_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What agents fetch signed.
pub struct Signed {
    app: Arc<App>,
    catalogue: Option<CatalogueFile>,
    policy_envelope: Cached<AgentPolicy>,
    catalogue_envelope: Cached<CatalogueFile>,
}

/// What was signed last.
struct Cached<T>(Mutex<Option<Kept<T>>>);

struct Kept<T> {
    at: Timestamp,
    counter: u64,
    content: T,
    envelope: Envelope,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl Signed {
    /// The app's policy, and a catalogue if IT gave one that is newer than what agents ship with.
    pub fn new(app: Arc<App>, catalogue: Option<CatalogueFile>) -> Self {
        Self { app, catalogue, policy_envelope: Cached::default(), catalogue_envelope: Cached::default() }
    }
}

/// The agents' policy.
pub async fn policy(State(signed): State<Arc<Signed>>) -> Result<Json<Envelope>, Refusal> {
    let counter = signed.app.policy.version;
    signed.policy_envelope.get(&signed.app, counter, &signed.app.policy.for_agents(), Timestamp::now())
}

/// The catalogue.
pub async fn catalogue(State(signed): State<Arc<Signed>>) -> Result<Json<Envelope>, Refusal> {
    let Some(file) = &signed.catalogue else {
        let message = "this collector has no catalogue beside the one that agents ship with";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "no_catalogue", message));
    };
    signed.catalogue_envelope.get(&signed.app, signed.app.catalogue, file, Timestamp::now())
}

/// The counter of the catalogue that IT gave: one above the last when its text is another. All collectors on one
/// store agree on it.
pub async fn catalogue_counter(store: &SharedStore, text: &str) -> crate::store::Result<u64> {
    let hash = hex::encode(Sha256::digest(text.as_bytes()));
    let last = store.value("catalogue").await?.unwrap_or_default();
    let (last_counter, last_hash) = last.split_once(' ').unwrap_or_default();
    let last_counter: u64 = last_counter.parse().unwrap_or(0);
    if last_hash == hash {
        return Ok(last_counter);
    }
    store.put_value("catalogue", &format!("{} {hash}", last_counter + 1)).await?;
    Ok(last_counter + 1)
}

/// Whether the agents' part of the policy is another than the one that was handed out under the same version: agents
/// would not fetch it.
pub async fn policy_changed_silently(store: &SharedStore, policy: &Policy) -> crate::store::Result<bool> {
    let agents = serde_json::to_vec(&policy.for_agents()).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let said = format!("{} {}", policy.version, hex::encode(Sha256::digest(agents)));
    let last = store.value("agent_policy").await?.unwrap_or_default();
    let same_version = last.split_once(' ').is_some_and(|(version, _)| version == policy.version.to_string());
    if same_version {
        return Ok(last != said);
    }
    store.put_value("agent_policy", &said).await?;
    Ok(false)
}

impl<T: Purpose + Clone + PartialEq> Cached<T> {
    fn get(&self, app: &App, counter: u64, content: &T, now: Timestamp) -> Result<Json<Envelope>, Refusal> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*cached
            && now.duration_since(kept.at).abs() < SIGNED_ANEW_AFTER
            && (kept.counter, &kept.content) == (counter, content)
        {
            return Ok(Json(kept.envelope.clone()));
        }
        let sealed = Sealed { counter, expires_at: now + GOOD_FOR, device: None, content: content.clone() };
        let envelope = seal(&app.order_key, &sealed)
            .map_err(|error| Refusal::unavailable("sign what agents fetch", &error))?;
        *cached = Some(Kept { at: now, counter, content: content.clone(), envelope: envelope.clone() });
        Ok(Json(envelope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn another_catalogue_gets_the_next_counter_and_the_same_keeps_its_own() {
        let store = crate::store::sqlite::in_memory().unwrap();
        assert_eq!(catalogue_counter(&store, "a").await.unwrap(), 1);
        assert_eq!(catalogue_counter(&store, "a").await.unwrap(), 1);
        assert_eq!(catalogue_counter(&store, "b").await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_policy_that_changed_under_its_old_version_is_noticed_until_the_version_is_raised() {
        let store = crate::store::sqlite::in_memory().unwrap();
        let mut policy = Policy { version: 1, ..Policy::default() };
        assert!(!policy_changed_silently(&store, &policy).await.unwrap());
        assert!(!policy_changed_silently(&store, &policy).await.unwrap());
        policy.agent.heartbeat_seconds = 60;
        assert!(policy_changed_silently(&store, &policy).await.unwrap());
        assert!(policy_changed_silently(&store, &policy).await.unwrap());
        policy.version = 2;
        assert!(!policy_changed_silently(&store, &policy).await.unwrap());
        // What IT sanctions begins nothing on an agent, so agents are told of it.
        policy.sanctioned_tools.push("anydesk".to_owned());
        policy.sanctioned_things.extend(["usb_device/1-2".to_owned(), "0123abcd".to_owned()]);
        assert!(policy_changed_silently(&store, &policy).await.unwrap());
        let told = policy.for_agents();
        assert_eq!(
            (told.sanctioned_tools, told.sanctioned_things),
            (vec!["anydesk".into()], vec!["usb_device/1-2".into()])
        );
    }

    #[tokio::test]
    async fn what_is_signed_opens_for_every_device_and_is_signed_anew_after_a_day() {
        let app = Arc::new(App::fixed(crate::store::sqlite::in_memory().unwrap(), Policy::default()));
        let device = farmwatch_shared::id::DeviceId::new(1, 1);
        let now: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
        let cached = Cached::default();
        let policy = app.policy.agent.clone();
        let get = |now| cached.get(&app, 7, &policy, now).unwrap().0;
        let envelope = get(now);
        let key = app.order_key.verifying_key();
        let opened = farmwatch_shared::sealed::open(&key, &envelope, &device, 6, now).unwrap();
        assert_eq!((opened.counter, opened.content), (7, policy.clone()));
        assert_eq!(get(now + SignedDuration::from_hours(23)), envelope);
        assert_ne!(get(now + SignedDuration::from_hours(25)), envelope);
        let other = AgentPolicy { heartbeat_seconds: 60, ..policy.clone() };
        let fresh = cached.get(&app, 8, &other, now).unwrap().0;
        let opened = farmwatch_shared::sealed::open(&key, &fresh, &device, 7, now).unwrap();
        assert_eq!((opened.counter, opened.content), (8, other), "a policy that was read anew is handed out");
    }
}
