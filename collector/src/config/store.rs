//! Where everything is kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::store::postgres;

const SQLITE: &str = "sqlite:";
const POSTGRES: [&str; 2] = ["postgres://", "postgresql://"];

/// The store's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite:FILE`, relative to the state folder, or `postgres://user@host:port/database?sslmode=…`.
    pub url: String,
    /// The database user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    /// A file that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// PEM file of the authorities that may sign the server's certificate; the system's if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Most connections to the database at a time.
    pub connections: usize,
    /// Longest wait for a connection, in seconds.
    pub connect_timeout_seconds: u64,
    /// Longest that a statement may run, in seconds.
    pub statement_timeout_seconds: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            url: "sqlite:farmwatch.db".into(),
            password: None,
            password_file: None,
            ca: None,
            connections: 16,
            connect_timeout_seconds: 4,
            statement_timeout_seconds: 30,
        }
    }
}

/// A password that no log shows.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Where a store is.
pub enum Kept {
    /// In a file.
    Sqlite(PathBuf),
    /// On a server.
    Postgres(Box<postgres::Settings>),
}

impl Store {
    /// Where the store is, with its password read; what is wrong otherwise.
    pub fn kept(&self, state_dir: &Path) -> Result<Kept, String> {
        if let Some(file) = self.url.strip_prefix(SQLITE) {
            if file.is_empty() {
                return Err("`url` names no file; write sqlite:farmwatch.db".into());
            }
            return Ok(Kept::Sqlite(state_dir.join(file)));
        }
        if !POSTGRES.iter().any(|scheme| self.url.starts_with(scheme)) {
            return Err("`url` should be sqlite:FILE or postgres://user@host:5432/database".into());
        }
        let password = match (&self.password, &self.password_file) {
            (Some(Password(password)), _) => Some(password.clone()),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|error| format!("`password_file` {} cannot be read: {error}", file.display()))?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            (None, None) => None,
        };
        Ok(Kept::Postgres(Box::new(postgres::Settings {
            url: self.url.clone(),
            password: password.map(Into::into),
            ca: self.ca.clone(),
            connections: self.connections,
            connect_timeout: Duration::from_secs(self.connect_timeout_seconds),
            statement_timeout: Duration::from_secs(self.statement_timeout_seconds),
        })))
    }

    /// What is wrong, with the setting that it is about.
    pub fn problem(&self, state_dir: &Path) -> Option<(&'static str, String)> {
        if self.connections < 4 {
            return Some((
                "connections",
                "should be at least 4; those who take reports need some for themselves".into(),
            ));
        }
        if self.connect_timeout_seconds == 0 || self.statement_timeout_seconds == 0 {
            return Some((
                "connect_timeout_seconds",
                "timeouts should be above 0; nothing would be done".into(),
            ));
        }
        let kept = match self.kept(state_dir) {
            Ok(Kept::Sqlite(_)) => return None,
            Ok(Kept::Postgres(settings)) => postgres::check(&settings).map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        kept.err().map(|why| ("url", why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Store {
        Store { url: url.into(), ..Store::default() }
    }

    #[test]
    fn a_file_is_relative_to_the_state_folder() {
        let kept = |url: &str| match of(url).kept(Path::new("/srv/farmwatch")).unwrap() {
            Kept::Sqlite(file) => file,
            Kept::Postgres(_) => panic!("{url} is a file"),
        };
        assert_eq!(kept("sqlite:farmwatch.db"), Path::new("/srv/farmwatch/farmwatch.db"));
        assert_eq!(kept("sqlite:/data/f.db"), Path::new("/data/f.db"));
    }

    #[test]
    fn an_address_that_cannot_be_used_is_a_problem_that_shows_no_password() {
        for url in [
            "farmwatch.db",
            "sqlite:",
            "mysql://farmwatch@db/farmwatch",
            "postgres://farmwatch:hunter2@db/farmwatch?sslmode=prefer",
            "postgres://farmwatch:hunter2@/farmwatch",
        ] {
            let (setting, why) = of(url).problem(Path::new("/srv")).unwrap();
            assert_eq!(setting, "url", "{url}");
            assert!(!why.contains("hunter2"), "{why}");
        }
        assert_eq!(of("postgres://farmwatch@db/farmwatch?sslmode=disable").problem(Path::new("/srv")), None);
    }

    #[test]
    fn a_password_comes_from_its_file_and_no_log_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let store = Store { password_file: Some(file), ..of("postgres://farmwatch@127.0.0.1/farmwatch") };
        let Kept::Postgres(settings) = store.kept(Path::new("/srv")).unwrap() else { panic!("no server") };
        assert_eq!(secrecy::ExposeSecret::expose_secret(settings.password.as_ref().unwrap()), "hunter2");
        let shown = format!("{store:?} {:?}", Password("hunter2".into()));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
