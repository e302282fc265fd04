//! macOS: sessions with windows from the registry's root, shells from `utmpx`, and whether the program that shares the
//! screen runs: launchd starts it for a far end and it ends with it.

use std::ffi::c_char;

use super::from_macos::{self, Login};
use super::{Config, SensorError, Session};
use crate::apple::system;

/// Most entries that are read.
const MOST: usize = 1024;

#[allow(clippy::unnecessary_wraps, reason = "other systems can fail here")]
pub(super) fn sessions(_: &Config) -> Result<Vec<(String, Session)>, SensorError> {
    let shared = system::runs("screensharingd");
    Ok(from_macos::sessions(&system::console_users(), &logins(), shared))
}

/// The system's list of logins.
#[allow(unsafe_code, reason = "utmpx has no safe wrapper in our dependencies")]
fn logins() -> Vec<Login> {
    let mut logins = Vec::new();
    // SAFETY: only this function uses the list, and one thread runs all sensors; an entry is read before the next is
    // asked for.
    unsafe {
        libc::setutxent();
        while logins.len() < MOST
            && let Some(entry) = libc::getutxent().as_ref()
        {
            logins.push(Login {
                kind: entry.ut_type,
                line: text(&entry.ut_line),
                from_afar: entry.ut_host[0] != 0,
            });
        }
        libc::endutxent();
    }
    logins
}

fn text(field: &[c_char]) -> String {
    let bytes: Vec<u8> = field.iter().map(|c| c.cast_unsigned()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
