//! macOS: not shown yet.

pub fn show(message: &str) {
    tracing::info!(message, "cannot be shown to whoever sits at the laptop");
}
