//! Linux: the package brings the service.

use std::path::Path;

use anyhow::bail;

const PACKAGED: &str = "the package installs and removes the service on this system; see docs/install.md";

/// Says where the service comes from.
pub fn install(_: &Path, _: &Path) -> anyhow::Result<()> {
    bail!(PACKAGED)
}

/// Likewise.
pub fn remove() -> anyhow::Result<()> {
    bail!(PACKAGED)
}
