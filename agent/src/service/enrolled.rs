//! Getting an identity before anything else: the kept one, or one that the token in its file buys.

use std::time::Duration;

use anyhow::{Context as _, bail};

use super::{Places, os};
use crate::clock;
use crate::config::{Config, collector_url};
use crate::enrol::{self, Token};
use crate::identity::Identity;
use crate::uplink::tls::Trust;
use crate::uplink::{Client, proxy, schedule};

/// The identity; `None` if the agent was told to stop before it had one.
pub async fn identity(
    config: &Config,
    places: &Places,
    signals: &mut os::Signals,
) -> anyhow::Result<Option<Identity>> {
    if let Some(identity) = Identity::read(&config.state)? {
        return Ok(Some(identity));
    }
    let Some(url) = &config.url else {
        bail!(
            "this agent is not enrolled: run `farmwatch-agent enrol --url https://… --token fwt_…`, or set `url` in {} \
             and put a token into {}",
            places.config.display(),
            config.token_file.display()
        );
    };
    let url = collector_url(url)?;
    if !config.token_file.exists() {
        bail!("this agent is not enrolled and there is no token in {}", config.token_file.display());
    }
    os::ready();
    for failures in 0.. {
        match from_token_file(config, places, &url).await {
            Ok(identity) => return Ok(Some(identity)),
            Err(error) => tracing::error!("cannot enrol, trying again: {error:#}"),
        }
        os::alive();
        let pause = schedule::pause(failures + 4, None, clock::fraction()).max(Duration::from_secs(5));
        let deadline = tokio::time::Instant::now() + pause;
        while tokio::time::Instant::now() < deadline {
            tokio::select! {
                () = tokio::time::sleep_until(deadline.min(tokio::time::Instant::now() + super::ROUND)) => os::alive(),
                signal = signals.next() => if matches!(signal, super::Signal::Stop) { return Ok(None) } else { break },
            }
        }
    }
    Ok(None)
}

/// Enrols with the token in its file and erases it.
async fn from_token_file(config: &Config, places: &Places, url: &reqwest::Url) -> anyhow::Result<Identity> {
    let path = &config.token_file;
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the token in {}", path.display()))?;
    let token = Token::parse(&text).with_context(|| format!("in {}", path.display()))?;
    let proxy = proxy_of(config, url)?;
    let identity = enrol::enrol(url, &token, proxy.as_ref(), &config.state, &places.root).await?;
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, "cannot erase the used token in {}; please remove it", path.display());
    }
    tracing::info!(device = %identity.device, "enrolled");
    Ok(identity)
}

/// The proxy towards a collector.
pub fn proxy_of(config: &Config, url: &reqwest::Url) -> anyhow::Result<Option<reqwest::Url>> {
    proxy::for_collector(config.proxy.as_deref(), url, |name| std::env::var(name).ok())
        .map_err(anyhow::Error::msg)
}

/// The address that an enrolled agent talks to: the configuration's, else the one it was enrolled at.
pub fn url_of(config: &Config, identity: &Identity) -> anyhow::Result<reqwest::Url> {
    collector_url(config.url.as_deref().unwrap_or(&identity.url))
}

/// A client with the device's certificate.
pub fn client(config: &Config, identity: &Identity) -> anyhow::Result<Client> {
    let url = url_of(config, identity)?;
    let proxy = proxy_of(config, &url)?;
    Client::new(&url, &Trust::Authority(identity.ca.clone()), Some(&identity.key_pair()), proxy.as_ref())
}
