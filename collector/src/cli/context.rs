//! What subcommands work with.

use std::sync::Arc;

use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use farmwatch_shared::id::HashKey;
use farmwatch_shared::weights::Weights;
use jiff::Timestamp;

use super::Globals;
use crate::access::folder::Folder;
use crate::app::{App, draw_from_system};
use crate::config::Config;
use crate::policy::Policy;
use crate::store::SharedStore;

/// What subcommands work with; nothing is opened before it is asked for.
pub struct Context {
    globals: Globals,
}

impl Context {
    /// From the global options.
    pub fn new(globals: Globals) -> Self {
        Self { globals }
    }

    /// Print JSON.
    pub fn json(&self) -> bool {
        self.globals.json
    }

    /// The global options.
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Who gives the command, for the audit.
    pub fn actor(&self) -> String {
        let name = ["SUDO_USER", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
        format!("cli:{}", name.as_deref().unwrap_or("unknown"))
    }

    /// The configuration.
    pub fn config(&self) -> anyhow::Result<Config> {
        Config::load(self.globals.config.as_deref(), self.globals.state_dir.as_deref())
    }

    /// The store that the configuration names.
    pub async fn store(&self) -> anyhow::Result<SharedStore> {
        let config = self.config()?;
        let folder = self.ready_folder(&config)?;
        crate::app::open_store(&config, &folder).await
    }

    /// Store, policy, weights and keys: for commands that decide something.
    pub async fn app(&self) -> anyhow::Result<Arc<App>> {
        let config = self.config()?;
        let folder = self.ready_folder(&config)?;
        Ok(Arc::new(self.app_of(&config, &folder).await?))
    }

    /// The same, from a configuration that was read.
    pub async fn app_of(&self, config: &Config, folder: &Folder) -> anyhow::Result<App> {
        Ok(App {
            store: crate::app::open_store(config, folder).await?,
            policy: Policy::read(&config.policy)?.into(),
            weights: Self::weights(config)?.into(),
            order_key: SigningKey::from_bytes(&folder.read_key(&folder.order_key())?),
            hash_key: HashKey::new(folder.read_key(&folder.store_hash_key())?),
            catalogue: 0,
            habits: crate::correlate::Habits::default(),
            fleet: crate::correlate::prevalence::Fleet::default(),
            draw: Box::new(draw_from_system),
        })
    }

    /// The judgement's numbers: those shipped, and the operator's over them.
    pub fn weights(config: &Config) -> anyhow::Result<Weights> {
        let Some(file) = &config.weights else { return Ok(Weights::shipped()) };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the weights file {}", file.display()))?;
        Weights::with_overrides(&text)
            .with_context(|| format!("the weights file {} is wrong", file.display()))
    }

    /// The state folder, if `init` was there.
    pub fn ready_folder(&self, config: &Config) -> anyhow::Result<Folder> {
        let folder = Folder::at(&config.state_dir);
        anyhow::ensure!(
            folder.is_ready(),
            "there is no collector in {}, or this user may not look; run `farmwatch-collector init`, or name its \
             folder with --state-dir",
            folder.path().display()
        );
        Ok(folder)
    }
}
