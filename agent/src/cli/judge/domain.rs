//! `judge domain`: one host or domain a line; `*.` may stand before it.

use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::facts::SeenBy;
use farmwatch_shared::weights::Weights;

use super::process::state;
use super::{Judge, Verdict, findings};

/// Judges each line as a host that a laptop is connected to.
pub fn judge(weights: &Weights) -> Judge<'_> {
    let catalogue = Catalogue::shipped();
    Box::new(move |line| {
        let host = line.split('\t').next().unwrap_or_default().trim();
        let plain = |c: char| c.is_alphanumeric() || ".-_*:/[]".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            return Verdict::unreadable(host, "not a host's name");
        }
        let hit = catalogue.by_domain(host.strip_prefix("*.").unwrap_or(host));
        Verdict { label: host.to_owned(), found: Ok(findings(&state(hit.as_ref(), SeenBy::Relay), weights)) }
    })
}
