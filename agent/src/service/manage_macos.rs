//! macOS: launchd, by `launchctl`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::super::launchd::{DAEMON, HELPER, Item};
use crate::apple::system as apple;
use crate::identity::Identity;
use crate::system::{self, Readers};

const LAUNCHCTL: &str = "/bin/launchctl";

/// Makes the folders and launchd's items; items that are there are changed to run this program. The agent starts where it
/// is enrolled or has a token to enrol with.
pub fn install(config: &Path, state: &Path) -> anyhow::Result<()> {
    if let Some(folder) = config.parent() {
        make_folder(folder, Readers::All)?;
    }
    // Its files have their own modes; anybody may ask how the agent does.
    make_folder(state, Readers::All)?;
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let mut arguments = Vec::new();
    for (name, path, usual) in
        [("--config", config, system::config_path()), ("--state", state, system::state_path())]
    {
        if path != usual {
            arguments.extend([name.to_owned(), path.to_string_lossy().into_owned()]);
        }
    }
    write(&DAEMON, &program, &arguments)?;
    write(&HELPER, &program, &[])?;
    for domain in sessions() {
        // Where somebody is logged in already; in other sessions it starts with them.
        start(&domain, &HELPER)
            .unwrap_or_else(|error| tracing::warn!("{error:#}; it starts at the next log-in"));
    }
    let enrols = config.with_file_name("enroll.token").exists() || Identity::read(state)?.is_some();
    if enrols { start("system", &DAEMON) } else { Ok(()) }
}

/// Stops both and removes their items.
pub fn remove() -> anyhow::Result<()> {
    if !Path::new(&DAEMON.file()).exists() {
        bail!("there is no such service");
    }
    for (domain, item) in
        sessions().iter().map(|domain| (domain.as_str(), HELPER)).chain([("system", DAEMON)])
    {
        stop(domain, &item);
    }
    for item in [HELPER, DAEMON] {
        let file = item.file();
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {file}; run this with sudo"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// launchd's domains of the sessions with windows.
fn sessions() -> Vec<String> {
    apple::console_users().iter().map(|user| format!("gui/{}", user.uid)).collect()
}

fn write(item: &Item, program: &Path, arguments: &[String]) -> anyhow::Result<()> {
    let file = item.file();
    fs::write(&file, item.text(program, arguments))
        .and_then(|()| fs::set_permissions(&file, Permissions::from_mode(0o644)))
        .with_context(|| format!("cannot write {file}; run this with sudo"))
}

fn start(domain: &str, item: &Item) -> anyhow::Result<()> {
    stop(domain, item);
    apple::tool(LAUNCHCTL, &["bootstrap", domain, &item.file()])
        .map(drop)
        .with_context(|| format!("launchd does not start {} in {domain}", item.label))
}

/// One that does not run is no failure.
fn stop(domain: &str, item: &Item) {
    let _ = apple::tool(LAUNCHCTL, &["bootout", &format!("{domain}/{}", item.label)]);
}

fn make_folder(folder: &Path, readers: Readers) -> anyhow::Result<()> {
    system::make_folder(folder, readers)
        .with_context(|| format!("cannot make {}; run this with sudo", folder.display()))
}
