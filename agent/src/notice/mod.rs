//! Tells whoever sits at the laptop: on every terminal and every desktop. Never blocks and never fails: a
//! laptop without anybody at it is none's fault.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;

/// Shows a message to all who are logged in.
pub fn show(message: String) {
    let spawned = std::thread::Builder::new().name("notice".into()).spawn(move || os::show(&message));
    if let Err(error) = spawned {
        tracing::warn!(%error, "cannot tell the people who are logged in");
    }
}
