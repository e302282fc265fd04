use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process;

const TIMEOUT: Duration = Duration::from_secs(5);
/// A message is for people: more terminals than this are none's.
const MAX_TERMINALS: usize = 64;

pub fn show(message: &str) {
    terminals().iter().for_each(|terminal| write(terminal, message));
    buses().iter().for_each(|bus| desktop(bus, message));
}

/// Terminals whose owner takes messages (`mesg y`: the group may write).
fn terminals() -> Vec<PathBuf> {
    let pseudo = fs::read_dir("/dev/pts").into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
    let console = (1..=6).map(|n| PathBuf::from(format!("/dev/tty{n}")));
    let takes_messages = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|m| m.file_type().is_char_device() && m.permissions().mode() & 0o020 != 0)
    };
    pseudo.chain(console).filter(takes_messages).take(MAX_TERMINALS).collect()
}

/// A terminal that somebody stopped takes nothing, and then nothing is written.
fn write(terminal: &Path, message: &str) {
    const DO_NOT_WAIT: i32 =
        rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY).bits().cast_signed();
    let Ok(mut file) = OpenOptions::new().write(true).custom_flags(DO_NOT_WAIT).open(terminal) else {
        return;
    };
    let _ = file.write_all(format!("\r\n\x07*** Farmwatch: {message}\r\n").as_bytes());
}

/// The session buses of people who are logged in.
fn buses() -> Vec<PathBuf> {
    let users = fs::read_dir("/run/user").into_iter().flatten();
    users.filter_map(|e| Some(e.ok()?.path().join("bus"))).filter(|bus| bus.exists()).collect()
}

fn desktop(bus: &Path, message: &str) {
    let address = format!("--address=unix:path={}", bus.display());
    let place = "org.freedesktop.Notifications";
    let mut command = Command::new("busctl");
    command.args([
        &address,
        "call",
        place,
        "/org/freedesktop/Notifications",
        place,
        "Notify",
        "susssasa{sv}i",
    ]);
    command.args([
        "Farmwatch",
        "0",
        "network-error",
        "Farmwatch",
        message,
        "0",
        "1",
        "urgency",
        "y",
        "2",
        "0",
    ]);
    if let Err(why) = process::run(&mut command, "", TIMEOUT) {
        tracing::debug!(bus = %bus.display(), why, "no desktop notification");
    }
}
