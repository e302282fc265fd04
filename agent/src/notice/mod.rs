//! Tells whoever sits at the laptop: on every terminal and every desktop. Never blocks and never fails: a
//! laptop without anybody at it is none's fault.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod os;

/// Shows a message to all who are logged in.
pub fn show(message: String) {
    let spawned = std::thread::Builder::new().name("notice".into()).spawn(move || os::show(&message));
    if let Err(error) = spawned {
        tracing::warn!(%error, "cannot tell the people who are logged in");
    }
}
