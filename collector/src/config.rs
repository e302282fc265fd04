//! The collector's configuration: flags over environment over `collector.toml` over defaults.

mod environment;
mod located;
mod store;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::correlate::known::network;

pub use located::{Problem, about, parse};
pub use store::{Kept, Store};

/// The configuration file that `init` writes: every setting with its default and what it means.
pub const COMMENTED: &str = include_str!("collector.toml");
/// Where the configuration file is unless told.
pub const DEFAULT_FILE: &str = "/etc/farmwatch/collector.toml";
/// Where the state folder is unless told.
pub const DEFAULT_STATE: &str = "/var/lib/farmwatch-collector";

/// The collector's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Keys, certificates and database.
    pub state_dir: PathBuf,
    /// The policy file; a relative path is relative to this file's folder.
    pub policy: PathBuf,
    /// A file of weights that override those shipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Where everything is kept.
    pub store: Store,
    /// The agents' listener.
    pub agents: Agents,
    /// The console's listener.
    pub console: Console,
    /// The listener for metrics and health.
    pub metrics: Metrics,
    /// What addresses say.
    pub addresses: Addresses,
    /// Logs.
    pub log: Log,
    /// The file that was read; `None` if there is none.
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: DEFAULT_STATE.into(),
            policy: "policy.toml".into(),
            weights: None,
            store: Store::default(),
            agents: Agents::default(),
            console: Console::default(),
            metrics: Metrics::default(),
            addresses: Addresses::default(),
            log: Log::default(),
            file: None,
        }
    }
}

/// The agents' listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agents {
    /// Address and port.
    pub listen: SocketAddr,
    /// Names and addresses by which agents reach it; they stand in its certificate.
    pub names: Vec<String>,
    /// Balancers in front of it, by address or network: they say whose a connection is by the PROXY protocol, and nobody
    /// else is believed.
    pub proxies: Vec<String>,
    /// Days for which a device's certificate is good.
    pub certificate_days: u32,
    /// Days after its end in which a certificate may still be renewed, and nothing else: for laptops that lay in
    /// a drawer.
    pub renewal_grace_days: u32,
    /// Most connections at a time.
    pub max_connections: usize,
    /// Most connections that wait for orders; past that, agents poll.
    pub max_waiting: usize,
    /// Seconds in which the TLS handshake, and each request's head, must be complete.
    pub head_timeout_seconds: u64,
    /// Seconds in which a request's body must be complete.
    pub body_timeout_seconds: u64,
}

impl Default for Agents {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0; 16], 8443)),
            names: Vec::new(),
            proxies: Vec::new(),
            certificate_days: 30,
            renewal_grace_days: 180,
            max_connections: 110_000,
            max_waiting: 100_000,
            head_timeout_seconds: 15,
            body_timeout_seconds: 60,
        }
    }
}

/// The console's listener.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Address and port. Beyond loopback only with a certificate.
    pub listen: SocketAddr,
    /// PEM file with its certificate and those above it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file with the certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// A proxy on this machine speaks TLS to people, so that cookies may be for HTTPS only and the console may
    /// listen without a certificate of its own.
    pub behind_tls_proxy: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8444)),
            certificate: None,
            key: None,
            behind_tls_proxy: false,
        }
    }
}

/// The listener for metrics and health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port; no password, so keep it on loopback or a network of your own.
    pub listen: SocketAddr,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8445)) }
    }
}

/// Data files that say which country and network an address belongs to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Addresses {
    /// Files in the mmdb format; the first that knows something wins.
    pub files: Vec<PathBuf>,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,farmwatch_collector::ingest=debug`.
    pub level: String,
    /// One JSON object a line.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), json: false }
    }
}

impl Config {
    /// Reads the configuration: the file that is named (it must be there), or the state folder's own, or
    /// `/etc/farmwatch/collector.toml` if it is there; then the environment.
    pub fn load(file: Option<&Path>, state_dir: Option<&Path>) -> anyhow::Result<Self> {
        Self::load_with(file, state_dir, std::env::vars())
    }

    fn load_with(
        file: Option<&Path>,
        state_dir: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> anyhow::Result<Self> {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let state_dir = state_dir.map(absolute);
        let place = file.map_or_else(|| default_file(state_dir.as_deref()), absolute);
        let text = match std::fs::read_to_string(&place) {
            Ok(text) => Some(text),
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", place.display())),
        };
        let mut config: Self = parse(&place, text.as_deref().unwrap_or_default())?;
        config = environment::overlay(&config, environment)?;
        config.file = text.is_some().then_some(place);
        config.state_dir = state_dir.unwrap_or(config.state_dir);
        config.resolve_paths();
        Ok(config)
    }

    /// What is wrong beyond spelling, each with the setting it is about.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut say = |setting, why: &str| found.push((setting, why.to_owned()));
        if !(1..=825).contains(&self.agents.certificate_days) {
            say("certificate_days", "should be 1 to 825; 30 is usual, agents renew by themselves");
        }
        if self.agents.max_connections == 0 {
            say("max_connections", "should be above 0; nothing could connect");
        }
        if self.agents.max_waiting > self.agents.max_connections {
            say("max_waiting", "should be at most max_connections; waiting connections are connections");
        }
        if self.agents.head_timeout_seconds == 0 || self.agents.body_timeout_seconds == 0 {
            say("head_timeout_seconds", "timeouts should be above 0; every request would be refused");
        }
        if self.console.certificate.is_some() != self.console.key.is_some() {
            say("certificate", "certificate and key go together; give both or neither");
        }
        let open = !self.console.listen.ip().is_loopback();
        if open && self.console.certificate.is_none() && !self.console.behind_tls_proxy {
            say(
                "listen",
                "the console would send passwords in the clear; give it certificate and key, keep it on \
                 127.0.0.1, or set behind_tls_proxy = true if a proxy speaks TLS for it",
            );
        }
        if let Some((setting, why)) = self.store.problem(&self.state_dir) {
            say(setting, &why);
        }
        for proxy in self.agents.proxies.iter().filter(|proxy| network(proxy).is_none()) {
            say(
                "proxies",
                &format!("`{proxy}` is no address or network; give it like 192.0.2.7 or 10.0.0.0/24"),
            );
        }
        for name in &self.agents.names {
            if !is_host(name) {
                say(
                    "names",
                    &format!("`{name}` is no host name or address; give it without https:// and port"),
                );
            }
        }
        found
    }

    fn resolve_paths(&mut self) {
        let base = self.file.as_deref().and_then(Path::parent).unwrap_or(&self.state_dir).to_owned();
        let own = [&mut self.policy, &mut self.state_dir].into_iter();
        let given = [&mut self.weights, &mut self.console.certificate, &mut self.console.key];
        let store = [&mut self.store.password_file, &mut self.store.ca];
        let given = given.into_iter().chain(store);
        for path in own.chain(given.flatten()).chain(&mut self.addresses.files) {
            *path = base.join(&*path);
        }
    }
}

/// Whether a text is a host name or an address, alone.
pub fn is_host(text: &str) -> bool {
    let of_a_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    text.parse::<std::net::IpAddr>().is_ok()
        || ((1..=253).contains(&text.len()) && text.bytes().all(of_a_name))
}

/// The configuration file if none is named.
pub fn default_file(state_dir: Option<&Path>) -> PathBuf {
    state_dir.map_or_else(|| DEFAULT_FILE.into(), |dir| dir.join("collector.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)]) -> anyhow::Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("collector.toml");
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::load_with(Some(&file), None, environment)
    }

    #[test]
    fn the_commented_file_says_the_defaults() {
        let said: Config = parse(Path::new("collector.toml"), COMMENTED).unwrap();
        assert_eq!(said, Config::default());
        assert_eq!(said.problems(), []);
    }

    #[test]
    fn environment_beats_file_beats_default() {
        let config = load(
            "[agents]\ncertificate_days = 7\nmax_waiting = 5",
            &[
                ("FARMWATCH_AGENTS__MAX_WAITING", "6"),
                ("FARMWATCH_AGENTS__NAMES", "a.example, 192.0.2.1"),
                ("FARMWATCH_LOG__JSON", "true"),
                ("FARMWATCH_TOKEN", "is the agent's"),
            ],
        )
        .unwrap();
        assert_eq!((config.agents.certificate_days, config.agents.max_waiting), (7, 6));
        assert_eq!(config.agents.names, ["a.example", "192.0.2.1"]);
        assert!(config.log.json);
        assert_eq!(config.agents.max_connections, 110_000);
    }

    #[test]
    fn a_secret_or_any_value_can_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let value = folder.path().join("level");
        std::fs::write(&value, "debug\n").unwrap();
        let config = load("", &[("FARMWATCH_LOG__LEVEL_FILE", value.to_str().unwrap())]).unwrap();
        assert_eq!(config.log.level, "debug");
    }

    #[test]
    fn a_misspelt_setting_names_file_line_and_what_to_do() {
        let error = load("[agents]\n\nlissen = \"[::]:1\"", &[]).unwrap_err().to_string();
        assert!(error.contains("collector.toml: line 3"), "{error}");
        assert!(error.contains("lissen") && error.contains("check-config"), "{error}");
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let error = load("", &[("FARMWATCH_AGENTS__LISSEN", "x")]).unwrap_err().to_string();
        assert!(error.contains("FARMWATCH_AGENTS__LISSEN"), "{error}");
        let error = load("", &[("FARMWATCH_AGENTS__LISTEN", "x")]).unwrap_err().to_string();
        assert!(error.contains("FARMWATCH_AGENTS__LISTEN"), "{error}");
    }

    #[test]
    fn a_console_in_the_clear_beyond_loopback_is_a_problem() {
        let open = load("[console]\nlisten = \"0.0.0.0:8444\"", &[]).unwrap();
        assert_eq!(open.problems().len(), 1);
        let proxied = load("[console]\nlisten = \"0.0.0.0:8444\"\nbehind_tls_proxy = true", &[]).unwrap();
        assert_eq!(proxied.problems(), []);
    }

    #[test]
    fn names_with_scheme_or_port_are_a_problem() {
        let config =
            load("[agents]\nnames = [\"https://c.example\", \"c.example:8443\", \"::1\", \"c\"]", &[]);
        assert_eq!(config.unwrap().problems().len(), 2);
    }

    #[test]
    fn relative_paths_are_relative_to_the_file() {
        let config = load("policy = \"p.toml\"\nstate_dir = \"/srv/f\"", &[]).unwrap();
        assert_eq!(config.policy.parent(), config.file.as_deref().and_then(Path::parent));
        assert_eq!(config.state_dir, Path::new("/srv/f"));
    }
}
