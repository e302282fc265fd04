//! macOS: not read yet, so a copied state folder is not noticed.

use std::path::Path;

pub(super) fn serial(_: &Path) -> Option<String> {
    None
}

pub(super) fn hostname(_: &Path) -> Option<String> {
    None
}

/// What names the hardware and this installation.
pub(super) fn sources(_: &Path) -> Vec<(&'static str, String)> {
    Vec::new()
}
