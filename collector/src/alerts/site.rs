//! Site alerts: what laptops in one place, or with one operator, show together crosses the threshold.

use std::collections::BTreeMap;

use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::Judged;
use farmwatch_shared::weights::Weights;

use super::life::{Draft, Piece, minute};
use super::{device, words};
use crate::store::{AlertKind, Device, Severity, Site};

/// Key of a site's alert.
pub fn key(site: &SiteId) -> String {
    format!("site/{site}")
}

/// What a site's alert needs to know of each laptop in it.
pub struct Member {
    /// Which.
    pub id: DeviceId,
    /// What people call it.
    pub name: String,
    /// Its own judgement.
    pub judged: Judged,
}

impl Member {
    /// A device with its judgement.
    pub fn of(device: &Device, judged: Judged) -> Self {
        Self { id: device.id.clone(), name: super::name(device), judged }
    }
}

/// The draft for a site, whatever its probability.
pub fn draft(site: &Site, members: &[Member], weights: &Weights) -> Draft {
    Draft {
        key: key(&site.id),
        kind: AlertKind::Site,
        severity: severity(site.judged.farm, weights.threshold.site),
        title: title(site),
        summary: summary(site, members, weights),
        devices: site.devices.clone(),
        site: Some(site.id.clone()),
        posterior: Some(site.judged.farm),
        waterfall: site.judged.bars.clone(),
        evidence: evidence(site, members),
        absorbed_by: None,
    }
}

fn title(site: &Site) -> String {
    let laptops = words::laptops(site.devices.len());
    if site.is_place() {
        format!("{laptops} in one place may be remotely operated")
    } else {
        format!("{laptops} with one operator may be remotely operated")
    }
}

fn evidence(site: &Site, members: &[Member]) -> Vec<Piece> {
    let place = site.judged.bars.iter().filter(|bar| bar.device.is_none() && bar.llr > 0.0);
    let place = place
        .filter(|bar| !bar.rule.is_empty())
        .map(|bar| Piece { id: bar.rule.clone(), why: bar.why.clone() });
    let belongs = if site.is_place() { "stands there too" } else { "belongs to it too" };
    let present = members
        .iter()
        .map(|m| Piece { id: format!("there: {}", m.id), why: format!("{} {belongs}", m.name) });
    let own = members.iter().flat_map(|member| {
        device::evidence(&member.judged).into_iter().map(|piece| Piece {
            id: format!("{}|{}", member.id, piece.id),
            why: format!("{}: {}", member.name, piece.why),
        })
    });
    place.chain(present).chain(own).collect()
}

fn severity(posterior: f64, threshold: f64) -> Severity {
    if posterior >= threshold { Severity::Critical } else { Severity::High }
}

fn summary(site: &Site, members: &[Member], weights: &Weights) -> String {
    let names: BTreeMap<&DeviceId, &str> = members.iter().map(|m| (&m.id, m.name.as_str())).collect();
    let opening = if site.judged.farm >= weights.threshold.site {
        "together they are consistent with laptops that somebody keeps running for others to work on from afar"
    } else {
        "together they have fallen below the threshold for an alert"
    };
    let shared: Vec<&str> = {
        let mut kinds: Vec<&str> = site.anchors.iter().map(|a| a.kind.label()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    };
    let place =
        words::list(site.judged.bars.iter().filter(|b| b.rule != "site.device" && !b.rule.is_empty()));
    let place = if place.is_empty() { "- nothing that ordinary places lack".to_owned() } else { place };
    let laptops = site.judged.bars.iter().filter_map(|bar| {
        let name = names.get(bar.device.as_ref()?)?;
        let own = site.judged.devices.get(bar.device.as_ref()?).copied().unwrap_or(0.0);
        Some((bar.llr, format!("- {name}: {} ({:+.1})", words::probability(own), bar.llr)))
    });
    let mut laptops: Vec<(f64, String)> = laptops.collect();
    laptops.sort_by(|a, b| b.0.total_cmp(&a.0));
    let hidden = laptops.len().saturating_sub(20);
    let mut laptops: Vec<String> = laptops.into_iter().take(20).map(|(_, line)| line).collect();
    if hidden > 0 {
        laptops.push(format!("- and {hidden} more"));
    }
    let prior = site.judged.bars.iter().find(|bar| bar.rule.is_empty());
    let said = if site.is_place() { &OF_A_PLACE } else { &OF_AN_OPERATOR };
    format!(
        "{} {} (shared: {}; first seen together {}), and {opening}: probability {} {} (before anything is seen, {}). \
         {}This says how the laptops are worked on, not by whom.\n\n\
         {}:\n{place}\n\nEach laptop, with the probability that it is remotely operated given the others:\n{}\n\n\
         What would clear it: {}, or each is seen at the own laptop.\n\n\
         What to do now: do not contact the people through these laptops. Compare where each laptop was shipped \
         with who lives there, check sign-ins, then isolate them together.",
        words::laptops(site.devices.len()),
        said.joined,
        if shared.is_empty() { "nothing now".to_owned() } else { shared.join(", ") },
        minute(site.created_at),
        words::probability(site.judged.farm),
        said.of,
        prior.map_or("", |bar| bar.why.as_str()),
        said.unknown,
        said.shows,
        laptops.join("\n"),
        said.clears,
    )
}

/// What is said otherwise of laptops in one place than of those that only who works on them joins.
struct Said {
    joined: &'static str,
    of: &'static str,
    unknown: &'static str,
    shows: &'static str,
    clears: &'static str,
}

const OF_A_PLACE: Said = Said {
    joined: "stand in one place",
    of: "for the place",
    unknown: "IT does not know the place as an office, an exit or a workspace. ",
    shows: "What the place shows",
    clears: "IT names the place as sanctioned, the people are found to share a home or an office for a known reason",
};

const OF_AN_OPERATOR: Said = Said {
    joined: "do not stand in one place, but the same somebody seems to work on them",
    of: "for them together",
    unknown: "",
    shows: "What they show together",
    clears: "the people are found to share one job, or an account of IT's, for a known reason",
};
