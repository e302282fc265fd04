//! What the parts of a running collector share.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use farmwatch_shared::id::HashKey;
use farmwatch_shared::weights::Weights;
use sha2::{Digest as _, Sha256};

use crate::access::folder::Folder;
use crate::config::{Config, Kept};
use crate::live::Live;
use crate::policy::Policy;
use crate::store::SharedStore;

/// Where a database keeps the fingerprint of the keys of those who work on it.
const KEYS: &str = "collector/keys";

/// What ingest, correlation, quarantine and console work on. Time is not in it: whoever decides something
/// is handed `now`, so that replay decides the same on simulated time.
pub struct App {
    /// The store.
    pub store: SharedStore,
    /// The operator's policy.
    pub policy: Live<Policy>,
    /// The judgement's numbers.
    pub weights: Live<Weights>,
    /// Signs orders, policy and catalogue.
    pub order_key: SigningKey,
    /// Hashes what agents hashed once more, before it is stored: an agent's key lies on the farm's laptops too.
    pub hash_key: HashKey,
    /// Counter of the catalogue in force; 0 while agents have only the one that they ship with.
    pub catalogue: u64,
    /// What correlation remembers of devices' windows and transitions.
    pub habits: crate::correlate::Habits,
    /// How large the fleet is.
    pub fleet: crate::correlate::prevalence::Fleet,
    /// Draws 128 random bits for ids; replay draws the same ones each time.
    pub draw: Box<dyn Fn() -> u128 + Send + Sync>,
}

impl App {
    /// An app whose keys are fixed and whose draws are the same each time: for replay and tests, where nothing
    /// leaves the process.
    pub fn fixed(store: SharedStore, policy: Policy) -> Self {
        let drawn = AtomicU64::new(0);
        Self {
            store,
            policy: policy.into(),
            weights: Weights::shipped().into(),
            order_key: SigningKey::from_bytes(&[1; 32]),
            hash_key: HashKey::new([2; 32]),
            catalogue: 0,
            habits: crate::correlate::Habits::default(),
            fleet: crate::correlate::prevalence::Fleet::default(),
            draw: Box::new(move || u128::from(drawn.fetch_add(1, Ordering::Relaxed))),
        }
    }
}

/// Draws 128 bits from the operating system.
pub fn draw_from_system() -> u128 {
    let mut bits = [0; 16];
    // Without randomness from the system no id, key or certificate of ours is worth anything.
    if let Err(error) = getrandom::fill(&mut bits) {
        tracing::error!(%error, "the operating system gives no random bits; stopping");
        std::process::abort();
    }
    u128::from_le_bytes(bits)
}

/// Opens the store that the configuration names.
pub async fn open_store(config: &Config, folder: &Folder) -> anyhow::Result<SharedStore> {
    match config.store.kept(folder.path()).map_err(anyhow::Error::msg)? {
        Kept::Sqlite(file) => {
            if !file.exists() {
                // SQLite gives the files beside a database the rights of the database.
                folder.write(&file, &[])?;
            }
            let open = crate::store::sqlite::open(&file);
            open.with_context(|| format!("cannot open the database {}", file.display()))
        }
        Kept::Postgres(settings) => {
            let open = crate::store::postgres::open(&settings).await;
            let store = open.context("cannot open the database on PostgreSQL")?;
            check_keys(&store, folder).await?;
            Ok(store)
        }
    }
}

/// Refuses a database that collectors with other keys work on: they would not know each other's laptops, and hashes of one
/// thing would differ.
async fn check_keys(store: &SharedStore, folder: &Folder) -> anyhow::Result<()> {
    let mut hash = Sha256::new();
    for file in
        [folder.ca_certificate(), folder.order_key(), folder.tenant_hash_key(), folder.store_hash_key()]
    {
        hash.update(std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
        hash.update([0]);
    }
    let ours = hex::encode(hash.finalize());
    match store.value(KEYS).await? {
        None => Ok(store.put_value(KEYS, &ours).await?),
        Some(theirs) if theirs == ours => Ok(()),
        Some(_) => anyhow::bail!(
            "collectors with other keys work on this database; copy ca.pem, ca.key, order.key, tenant-hash.key and \
             store-hash.key from one of them into {}, or take another database",
            folder.path().display()
        ),
    }
}
