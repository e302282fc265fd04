//! SIGHUP: what can be read anew while the collector runs, all of it or nothing.

use std::sync::Arc;

use jiff::Timestamp;

use crate::access::signed;
use crate::app::App;
use crate::cli::Context;
use crate::cli::check_config::{problems, slips};
use crate::config::Config;
use crate::ingest::{Ingest, Places};
use crate::policy::{AGENTS_GET, Policy};
use crate::store::queue_all;
use crate::telemetry::LogLevel;

/// What is replaced.
pub struct Reload {
    /// Policy and weights.
    pub app: Arc<App>,
    /// What addresses say.
    pub ingest: Arc<Ingest>,
    /// What is logged.
    pub level: LogLevel,
    /// The configuration that is in force.
    pub config: Config,
}

impl Reload {
    /// Takes a configuration and the files that it names. On an error nothing has changed.
    pub async fn take(&mut self, config: Config) -> anyhow::Result<()> {
        let problems: Vec<String> = problems(&config).iter().map(ToString::to_string).collect();
        anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
        let policy = Policy::read(&config.policy)?;
        let weights = Context::weights(&config)?;
        let places = Places::open(&config.addresses.files)?;
        // The last that can fail, and the first that shows.
        self.level.set(&config.log.level)?;

        let rejudge = *self.app.policy != policy || *self.app.weights != weights;
        if rejudge {
            self.app.policy.replace(policy);
            self.app.weights.replace(weights);
        }
        self.ingest.use_places(places);
        tell_what_waits(&self.config, &config);
        self.config.log.level.clone_from(&config.log.level);
        self.config.policy = config.policy;
        self.config.weights = config.weights;
        self.config.addresses = config.addresses;
        tell_slips(&self.config);
        tell_silent_change(&self.app, &self.config).await?;
        if rejudge {
            let devices = queue_all(&self.app.store, Timestamp::now()).await?;
            tracing::info!(devices, "policy or weights are new: all laptops are judged anew");
        }
        Ok(())
    }
}

/// What the policy sanctions and this collector does not know: mostly misspelt, and then without effect.
pub fn tell_slips(config: &Config) {
    for slip in slips(config) {
        tracing::warn!(
            policy = %config.policy.display(),
            line = slip.line,
            why = slip.why,
            "the policy sanctions what is not known here, which has no effect unless a newer catalogue knows it"
        );
    }
}

/// Agents fetch a policy only under a version above theirs.
pub async fn tell_silent_change(app: &App, config: &Config) -> anyhow::Result<()> {
    if signed::policy_changed_silently(&app.store, &app.policy).await? {
        tracing::warn!(
            policy = %config.policy.display(),
            version = app.policy.version,
            "what agents get of the policy ({AGENTS_GET}) changed and `version` did not: agents will not fetch it; raise \
             `version`"
        );
    }
    Ok(())
}

/// What is new in the configuration and waits for a restart.
fn tell_what_waits(before: &Config, after: &Config) {
    let changed = [
        ("state_dir", before.state_dir != after.state_dir),
        ("[agents]", before.agents != after.agents),
        ("[console]", before.console != after.console),
        ("[metrics]", before.metrics != after.metrics),
        ("[log] json", before.log.json != after.log.json),
    ];
    for (setting, _) in changed.into_iter().filter(|(_, changed)| *changed) {
        tracing::warn!(setting, "changed in the configuration; it counts from the next start on");
    }
}
