//! `init`: creates what a collector needs, and leaves alone what is there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::user::given_password;
use super::{Context, output};
use crate::access::authority::Authority;
use crate::access::folder::Folder;
use crate::access::{password, server_certificate};
use crate::config::{self, COMMENTED, Config, Kept};
use crate::policy;
use crate::store::{NewAudit, User};

/// Options of `init`.
#[derive(Args)]
pub struct InitArgs {
    /// Name or address by which agents reach this collector; may be given several times [default: this machine's]
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// Where agents connect [default: [::]:8443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    agents_listen: Option<SocketAddr>,
    /// Where people look [default: 127.0.0.1:8444]
    #[arg(long, value_name = "ADDRESS:PORT")]
    console_listen: Option<SocketAddr>,
    /// Where metrics and health are [default: 127.0.0.1:8445]
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// The administrator's name. The password is generated and printed once, unless FARMWATCH_ADMIN_PASSWORD or
    /// FARMWATCH_ADMIN_PASSWORD_FILE gives it
    #[arg(long, default_value = "admin", value_name = "NAME")]
    admin: String,
}

/// Something that `init` looked after.
#[derive(Debug, Serialize)]
struct Step {
    /// What it is.
    what: &'static str,
    /// Where it is.
    path: Option<PathBuf>,
    /// It was made now; otherwise it was there and was left alone.
    created: bool,
}

/// What `init` did.
#[derive(Debug, Serialize)]
struct Report {
    state_dir: PathBuf,
    config: PathBuf,
    agents: SocketAddr,
    names: Vec<String>,
    console: String,
    metrics: SocketAddr,
    ca_fingerprint: String,
    admin: String,
    /// Only if it was generated now.
    admin_password: Option<String>,
    steps: Vec<Step>,
}

/// Runs `init`.
pub async fn run(args: InitArgs, context: &Context) -> anyhow::Result<()> {
    let report = create(args, context).await?;
    if context.json() {
        return output::json(&report);
    }
    tell(&report);
    Ok(())
}

async fn create(args: InitArgs, context: &Context) -> anyhow::Result<Report> {
    for name in &args.names {
        anyhow::ensure!(
            config::is_host(name),
            "--name {name}: no host name or address; give it without https:// and port"
        );
    }
    let now = context.now();
    let mut steps = Vec::new();
    let (file, wrote) = write_config(&args, context)?;
    steps.push(Step { what: "configuration", path: Some(file.clone()), created: wrote });
    let config = Config::load(Some(&file), context.globals().state_dir.as_deref())?;
    if let Some(name) = args.names.iter().find(|name| !wrote && !config.agents.names.contains(name)) {
        anyhow::bail!(
            "{} is there already and does not name {name}; add it to `names` of [agents] there and restart the \
             collector, which then signs itself a certificate with that name",
            file.display()
        );
    }

    let folder = Folder::at(&config.state_dir);
    folder.create()?;
    let made = write_public(&config.policy, policy::COMMENTED)?;
    steps.push(Step { what: "policy", path: Some(config.policy.clone()), created: made });
    for (what, path) in [
        ("order-signing key", folder.order_key()),
        ("tenant's hash key", folder.tenant_hash_key()),
        ("store's hash key", folder.store_hash_key()),
    ] {
        let created = !path.exists();
        folder.ensure_key(&path)?;
        steps.push(Step { what, path: Some(path), created });
    }
    let created = !folder.is_ready();
    if created {
        let database = sqlite_file(&config, &folder)?;
        anyhow::ensure!(
            database.is_none_or(|file| !file.exists()),
            "{} holds a database but no authority; restore ca.pem and ca.key from the backup, or the laptops that \
             enrolled there must enrol anew (move farmwatch.db away then)",
            folder.path().display()
        );
        Authority::create(&folder, now)?;
    }
    let authority = Authority::load(&folder)?;
    steps.push(Step { what: "authority", path: Some(folder.ca_certificate()), created });
    let signed = server_certificate::refresh(&folder, &authority, &config.agents.names, now)?;
    let path = Some(folder.server_certificate());
    steps.push(Step { what: "listener's certificate", path, created: signed.is_some() });

    let database = sqlite_file(&config, &folder)?;
    let created = database.as_ref().is_some_and(|file| !file.exists());
    let store = crate::app::open_store(&config, &folder).await?;
    for entry in std::fs::read_dir(folder.path())?.flatten() {
        folder.hand_over(&entry.path())?;
    }
    steps.push(Step { what: "database", path: database, created });
    let had = store.user(&args.admin).await?.is_some();
    let admin_password = if had { None } else { Some(add_admin(&args.admin, context, &store).await?) };
    steps.push(Step { what: "administrator", path: None, created: !had });

    let scheme = if config.console.certificate.is_some() { "https" } else { "http" };
    Ok(Report {
        state_dir: folder.path().to_owned(),
        config: file,
        agents: config.agents.listen,
        names: server_certificate::effective_names(&config.agents.names),
        console: format!("{scheme}://{}", config.console.listen),
        metrics: config.metrics.listen,
        ca_fingerprint: authority.fingerprint(),
        admin: args.admin,
        admin_password: admin_password.flatten().map(|secret| secret.expose_secret().to_owned()),
        steps,
    })
}

/// The database's file, if it is one.
fn sqlite_file(config: &Config, folder: &Folder) -> anyhow::Result<Option<PathBuf>> {
    match config.store.kept(folder.path()).map_err(anyhow::Error::msg)? {
        Kept::Sqlite(file) => Ok(Some(file)),
        Kept::Postgres(_) => Ok(None),
    }
}

/// Adds the administrator; gives the password if it was generated.
async fn add_admin(
    name: &str,
    context: &Context,
    store: &crate::store::SharedStore,
) -> anyhow::Result<Option<SecretString>> {
    let given = given_password("FARMWATCH_ADMIN_PASSWORD")?;
    let generated = given.is_none();
    let secret = given.unwrap_or_else(password::generate);
    store.put_user(User { name: name.to_owned(), password: password::hash(&secret)? }).await?;
    store
        .audit(NewAudit {
            at: context.now(),
            actor: context.actor(),
            action: "init".into(),
            object: name.to_owned(),
            why: "collector created, administrator added".into(),
        })
        .await?;
    Ok(generated.then_some(secret))
}

/// Writes the configuration unless it is there; where, and whether it was written.
fn write_config(args: &InitArgs, context: &Context) -> anyhow::Result<(PathBuf, bool)> {
    let globals = context.globals();
    let state_dir = globals.state_dir.as_deref().map(std::path::absolute).transpose()?;
    let file = match &globals.config {
        Some(file) => std::path::absolute(file)?,
        None => config::default_file(state_dir.as_deref()),
    };
    if let (None, Some(dir)) = (&globals.config, &state_dir) {
        Folder::at(dir).create()?;
    }
    let made = write_public(&file, &config_text(args, state_dir.as_deref()))?;
    Ok((file, made))
}

fn config_text(args: &InitArgs, state_dir: Option<&Path>) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text = COMMENTED.to_owned();
    if let Some(dir) = state_dir {
        text = with_setting(&text, "", "state_dir", &quoted(&dir.to_string_lossy()));
    }
    if !args.names.is_empty() {
        let names: Vec<String> = args.names.iter().map(|name| quoted(name)).collect();
        text = with_setting(&text, "agents", "names", &format!("[{}]", names.join(", ")));
    }
    let listeners =
        [("agents", args.agents_listen), ("console", args.console_listen), ("metrics", args.metrics_listen)];
    for (section, listen) in listeners {
        if let Some(listen) = listen {
            text = with_setting(&text, section, "listen", &quoted(&listen.to_string()));
        }
    }
    text
}

/// The text with one setting of one section replaced; comments stay.
fn with_setting(text: &str, section: &str, key: &str, value: &str) -> String {
    let mut here = String::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut here);
        }
        let ours = here == section && line.strip_prefix(key).is_some_and(|rest| rest.starts_with(" ="));
        lines.push(if ours { format!("{key} = {value}") } else { line.to_owned() });
    }
    lines.join("\n") + "\n"
}

/// Writes a file that holds no secret, unless it is there; whether it was written.
fn write_public(file: &Path, text: &str) -> anyhow::Result<bool> {
    use std::io::Write as _;
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| {
            format!("cannot create {}; run as root, or choose a folder with --state-dir", folder.display())
        })?;
    }
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    let mut open = match opened {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => {
            let hint = "run as root, or choose a folder with --state-dir";
            return Err(error).with_context(|| format!("cannot write {}; {hint}", file.display()));
        }
    };
    open.write_all(text.as_bytes())
        .and_then(|()| open.sync_all())
        .with_context(|| format!("cannot write {}", file.display()))?;
    // The service reads it as a user of its own, however careful the administrator's umask.
    open.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .with_context(|| format!("cannot let the service read {}", file.display()))?;
    Ok(true)
}

fn tell(report: &Report) {
    for step in &report.steps {
        let path = step.path.as_ref().map(|path| format!("  {}", path.display())).unwrap_or_default();
        let did = if step.created { "created" } else { "kept   " };
        output::line(format!("{did}  {}{path}", step.what));
    }
    output::line("");
    output::line(format!("agents connect to {} as {}", report.agents, report.names.join(", ")));
    output::line(format!("console           {}", report.console));
    match &report.admin_password {
        Some(password) => {
            output::line(format!("log in as         {}", report.admin));
            output::line(format!("password          {password}   (shown this once)"));
        }
        None => output::line(format!(
            "log in as         {}; `farmwatch-collector user password {}` sets a new password",
            report.admin, report.admin
        )),
    }
    output::line("");
    output::line("next: farmwatch-collector run, and farmwatch-collector tokens add for the first laptop");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_configuration_says_what_was_asked_and_keeps_its_comments() {
        let args = InitArgs {
            names: vec!["c.example".into(), "192.0.2.1".into()],
            agents_listen: Some(([127, 0, 0, 1], 1).into()),
            console_listen: Some(([127, 0, 0, 1], 2).into()),
            metrics_listen: None,
            admin: "admin".into(),
        };
        let text = config_text(&args, Some(Path::new("/srv/a \"quoted\" folder")));
        let config: Config = config::parse(Path::new("c"), &text).unwrap();
        assert_eq!(config.state_dir, Path::new("/srv/a \"quoted\" folder"));
        assert_eq!(config.agents.names, ["c.example", "192.0.2.1"]);
        assert_eq!((config.agents.listen.port(), config.console.listen.port()), (1, 2));
        assert_eq!(config.metrics.listen, config::Metrics::default().listen);
        assert_eq!(text.matches('#').count(), COMMENTED.matches('#').count());
    }

    fn args(names: &[&str]) -> InitArgs {
        InitArgs {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            agents_listen: None,
            console_listen: None,
            metrics_listen: None,
            admin: "admin".into(),
        }
    }

    #[tokio::test]
    async fn a_second_init_leaves_alone_what_is_there() {
        let root = tempfile::tempdir().unwrap();
        let state_dir = Some(root.path().join("state"));
        let context = Context::new(crate::cli::Globals { state_dir, ..Default::default() });
        let first = create(args(&["c.example"]), &context).await.unwrap();
        assert!(first.steps.iter().all(|step| step.created));
        assert!(first.admin_password.is_some());
        let second = create(args(&["c.example"]), &context).await.unwrap();
        assert!(second.steps.iter().all(|step| !step.created), "{:?}", second.steps);
        assert_eq!((second.ca_fingerprint, second.admin_password), (first.ca_fingerprint, None));
        let error = create(args(&["other.example"]), &context).await.unwrap_err().to_string();
        assert!(error.contains("other.example") && error.contains("[agents]"), "{error}");
    }

    #[tokio::test]
    async fn a_lost_authority_is_not_replaced_beside_a_database_of_enrolled_laptops() {
        let root = tempfile::tempdir().unwrap();
        let state_dir = Some(root.path().to_owned());
        let context = Context::new(crate::cli::Globals { state_dir, ..Default::default() });
        create(args(&[]), &context).await.unwrap();
        std::fs::remove_file(root.path().join("ca.pem")).unwrap();
        let error = create(args(&[]), &context).await.unwrap_err().to_string();
        assert!(error.contains("backup"), "{error}");
    }
}
