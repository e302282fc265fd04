//! Relays: hosts of tools that somebody on this laptop asked for, and the programs that are connected to them.
//!
//! A name that the catalogue does not know is dropped at once. A browser may visit a maker's pages, and the system's own
//! programs fetch from anywhere: only a program that is neither is a tool by whom it is connected to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::{Catalogue, Proves};

use super::tools::Hit;

/// Most addresses of relays that are remembered …
const MOST: usize = 256;
/// … and how long after somebody last asked for them.
const KEPT: Duration = Duration::from_hours(1);
/// Browsers by the names of their programs.
const BROWSERS: [&str; 15] = [
    "brave",
    "chrome",
    "chromium",
    "firefox",
    "floorp",
    "librewolf",
    "mullvadbrowser",
    "msedge",
    "msedgewebview2",
    "opera",
    "palemoon",
    "thorium",
    "vivaldi",
    "waterfox",
    "zen",
];

/// A name that was asked for, and what it stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) names: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

/// Addresses of relays.
#[derive(Debug, Default)]
pub(super) struct Relays(BTreeMap<IpAddr, (Hit, Instant)>);

impl Relays {
    /// Keeps the addresses of a name if it is a relay's. Answers whether it is.
    pub(super) fn add(&mut self, catalogue: &Catalogue, answer: &Answer, now: Instant) -> bool {
        let hit = answer.names.iter().find_map(|name| catalogue.by_domain(name));
        let Some(hit) = hit.filter(|hit| hit.proves == Proves::Use).map(Hit::from) else { return false };
        self.0.retain(|_, (_, since)| now.saturating_duration_since(*since) < KEPT);
        for address in answer.addresses.iter().filter(|address| !address.is_loopback()) {
            if self.0.len() < MOST || self.0.contains_key(address) {
                self.0.insert(*address, (hit.clone(), now));
            }
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose relay stands at an address.
    pub(super) fn at(&self, address: &IpAddr) -> Option<&Hit> {
        self.0.get(address).map(|(hit, _)| hit)
    }
}

/// A program of this path looks at whatever somebody wants to see.
pub(super) fn is_browser(path: &str) -> bool {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path).to_ascii_lowercase();
    let name = name.strip_suffix(" (deleted)").unwrap_or(&name);
    BROWSERS.iter().any(|browser| {
        name == *browser || name.strip_prefix(browser).is_some_and(|rest| rest.starts_with(['-', '_', '.']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, address: [u8; 4]) -> Answer {
        Answer { names: vec![name.into()], addresses: vec![IpAddr::from(address)] }
    }

    #[test]
    fn a_relay_is_known_for_an_hour_after_it_was_last_asked_for_and_others_are_not() {
        let (catalogue, now) = (Catalogue::shipped(), Instant::now());
        let (mut relays, relay) = (Relays::default(), [203, 0, 113, 9]);
        assert!(relays.add(&catalogue, &answer("relay-0b975d23.net.anydesk.com", relay), now));
        assert_eq!(relays.at(&relay.into()).map(|hit| &*hit.tool), Some("anydesk"));
        assert!(!relays.add(&catalogue, &answer("example.org", [192, 0, 2, 1]), now));
        assert!(relays.add(&catalogue, &answer("x.teamviewer.com", [192, 0, 2, 2]), now + KEPT));
        assert!(relays.at(&relay.into()).is_none() && !relays.is_empty());
    }

    #[test]
    fn browsers_look_at_everything() {
        assert!(is_browser("/opt/google/chrome/chrome") && is_browser("/home/a/firefox/firefox-bin"));
        assert!(!is_browser("/home/a/chromelike") && !is_browser("/tmp/helper"));
        assert!(is_browser(r"C:\Users\a\AppData\Local\Vivaldi\Application\vivaldi.exe"));
        assert!(is_browser(r"D:\x\MSEdge.exe") && !is_browser(r"C:\Users\a\Downloads\helper.exe"));
    }
}
