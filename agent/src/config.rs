//! The agent's configuration: what IT's policy folder says, else the command line, else the environment, else
//! the file, else the default.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::system;

/// The configuration file that the package installs: every setting with what it means.
pub const COMMENTED: &str = include_str!("../../packaging/agent/agent.toml");

/// The agent's configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// The collector's address: `https://farmwatch.example.com:8443`. Set once, at enrolment, for agents
    /// that have a token in a file; an enrolled agent follows it when it changes.
    pub url: Option<String>,
    /// HTTP proxy for the way to the collector; without it the environment's and the system's.
    pub proxy: Option<String>,
    /// State folder.
    pub state: PathBuf,
    /// File with the enrolment token; erased after use.
    pub token_file: PathBuf,
    /// What is logged: `error`, `warn`, `info`, `debug`, or a filter of `tracing`.
    pub log: String,
    /// Settings that IT's policy folder fixed.
    pub managed: Vec<String>,
}

/// One file's settings; what it does not say is `None`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    url: Option<String>,
    proxy: Option<String>,
    state: Option<PathBuf>,
    token_file: Option<PathBuf>,
    log: Option<String>,
}

impl Config {
    /// Reads the configuration. `state` is the command line's; `env` looks up the environment.
    ///
    /// A missing file is an empty one: all settings have defaults.
    pub fn read(
        file: &Path,
        state: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let base = read_file(file)?;
        let folder = file.parent().unwrap_or(Path::new(".")).join("policy.d");
        let mut policy = Settings::default();
        for path in policy_files(&folder)? {
            policy = read_file(&path)?.or(policy);
        }
        let local = Settings {
            url: env("FARMWATCH_URL"),
            proxy: env("FARMWATCH_PROXY"),
            state: state.map(Path::to_owned).or_else(|| env("FARMWATCH_STATE").map(PathBuf::from)),
            token_file: env("FARMWATCH_TOKEN_FILE").map(PathBuf::from),
            log: env("FARMWATCH_LOG"),
        };
        let managed = policy.said();
        let all = policy.or(local).or(base);
        let config = Self {
            url: all.url,
            proxy: all.proxy.filter(|p| !p.is_empty()),
            state: all.state.unwrap_or_else(system::state_path),
            token_file: all
                .token_file
                .unwrap_or_else(|| file.parent().unwrap_or(Path::new(".")).join("enroll.token")),
            log: all.log.unwrap_or_else(|| "info".into()),
            managed,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        if let Some(url) = &self.url {
            collector_url(url)?;
        }
        tracing_subscriber::EnvFilter::try_new(&self.log).map_err(|e| {
            anyhow::anyhow!("log is {:?}: {e}; it should be error, warn, info or debug", self.log)
        })?;
        if let Some(proxy) = &self.proxy {
            let parsed = reqwest::Url::parse(proxy).with_context(|| {
                format!("proxy is {proxy:?}; it should be like \"http://proxy.example.com:3128\"")
            })?;
            if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
                bail!("proxy is {proxy:?}; it should begin with http:// or https:// and name a host");
            }
        }
        Ok(())
    }
}

/// Reads a collector's address: `https`, a host, no path.
pub fn collector_url(text: &str) -> anyhow::Result<reqwest::Url> {
    let url = reqwest::Url::parse(text).with_context(|| {
        format!("the collector's address is {text:?}; it should be like https://farmwatch.example.com:8443")
    })?;
    if url.scheme() != "https" || url.host().is_none() {
        bail!("the collector's address is {text:?}; it should begin with https:// and name a host");
    }
    if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        bail!("the collector's address is {text:?}; it should be scheme, host and port alone");
    }
    Ok(url)
}

impl Settings {
    /// What `self` says, else what `other` says.
    fn or(self, other: Self) -> Self {
        Self {
            url: self.url.or(other.url),
            proxy: self.proxy.or(other.proxy),
            state: self.state.or(other.state),
            token_file: self.token_file.or(other.token_file),
            log: self.log.or(other.log),
        }
    }

    fn said(&self) -> Vec<String> {
        let all = [
            ("url", self.url.is_some()),
            ("proxy", self.proxy.is_some()),
            ("state", self.state.is_some()),
            ("token_file", self.token_file.is_some()),
            ("log", self.log.is_some()),
        ];
        all.iter().filter(|(_, said)| *said).map(|(name, _)| (*name).to_owned()).collect()
    }
}

fn read_file(path: &Path) -> anyhow::Result<Settings> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    toml::from_str(&text).map_err(|e| {
        let line = e.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        anyhow::anyhow!(
            "cannot read {}: line {line}: {}\nMend or remove that line, then run `farmwatch-agent check-config`.",
            path.display(),
            e.message()
        )
    })
}

/// The policy folder's files in the order of their names: later ones win.
fn policy_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", folder.display())),
    };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(file: &str, policy: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("agent.toml"), file).unwrap();
        std::fs::create_dir(dir.path().join("policy.d")).unwrap();
        for (name, text) in policy {
            std::fs::write(dir.path().join("policy.d").join(name), text).unwrap();
        }
        dir
    }

    fn read(dir: &tempfile::TempDir, env: &[(&str, &str)]) -> anyhow::Result<Config> {
        Config::read(&dir.path().join("agent.toml"), None, |name| {
            env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        })
    }

    #[test]
    fn policy_wins_over_environment_over_file() {
        let dir =
            folder("url = \"https://file\"\nlog = \"warn\"", &[("10.toml", "url = \"https://policy\"")]);
        let config = read(&dir, &[("FARMWATCH_URL", "https://env"), ("FARMWATCH_LOG", "debug")]).unwrap();
        assert_eq!((config.url.as_deref(), config.log.as_str()), (Some("https://policy"), "debug"));
        assert_eq!(config.managed, ["url"]);
    }

    #[test]
    fn a_misspelt_setting_is_an_error_with_file_line_and_what_to_do() {
        let dir = folder("log = \"info\"\nurll = \"https://x\"", &[]);
        let error = format!("{:#}", read(&dir, &[]).unwrap_err());
        for part in ["agent.toml: line 2", "urll", "check-config"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn an_address_without_tls_is_refused() {
        for bad in ["http://collector", "collector:8443", "https://", "https://h/path"] {
            let dir = folder(&format!("url = {bad:?}"), &[]);
            assert!(read(&dir, &[]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_installed_file_reads_and_says_nothing_but_defaults() {
        let dir = folder(COMMENTED, &[]);
        let config = read(&dir, &[]).unwrap();
        assert_eq!((config.url, config.log.as_str(), config.state), (None, "info", system::state_path()));
    }
}
