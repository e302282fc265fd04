//! macOS: `who`, and whether the program that shares the screen runs: launchd starts it for a far end and it ends
//! with it.

use super::from_macos;
use super::{Config, SensorError, Session};
use crate::apple::system;

pub(super) fn sessions(_: &Config) -> Result<Vec<(String, Session)>, SensorError> {
    let who = system::tool("/usr/bin/who", &[])?;
    Ok(from_macos::sessions(&who, system::runs("screensharingd")))
}
