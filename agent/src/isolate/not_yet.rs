//! Windows and macOS: not yet. An order to isolate is answered with this, so nobody believes that the laptop is cut off.

use std::net::IpAddr;
use std::path::Path;

const NOT_YET: &str = if cfg!(windows) {
    "this agent cannot yet isolate a laptop that runs Windows; isolate it by your EDR or MDM"
} else {
    "this agent cannot yet isolate a laptop that runs macOS; isolate it by your EDR or MDM"
};

/// Puts a ruleset into force.
pub fn apply(_: &str) -> Result<(), String> {
    Err(NOT_YET.into())
}

/// Takes the rules away: there are none.
#[allow(clippy::unnecessary_wraps, reason = "other systems can fail here")]
pub fn remove() -> Result<(), String> {
    Ok(())
}

/// The rules are in force.
pub fn is_in_force() -> bool {
    false
}

/// The resolvers that this machine asks.
pub fn resolvers(_: &Path) -> Vec<IpAddr> {
    Vec::new()
}
