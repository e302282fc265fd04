//! What the parts of a running collector share.

use ed25519_dalek::SigningKey;
use farmwatch_shared::weights::Weights;

use crate::policy::Policy;
use crate::store::SharedStore;

/// What ingest, correlation, quarantine and console work on. Time is not in it: whoever decides something
/// is handed `now`, so that replay decides the same on simulated time.
pub struct App {
    /// The store.
    pub store: SharedStore,
    /// The operator's policy.
    pub policy: Policy,
    /// The judgement's numbers.
    pub weights: Weights,
    /// Signs orders, policy and catalogue.
    pub order_key: SigningKey,
    /// Draws 128 random bits for ids; replay draws the same ones each time.
    pub draw: Box<dyn Fn() -> u128 + Send + Sync>,
}
