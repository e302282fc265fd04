//! Site alerts: what laptops in one place, or with one operator, show together crosses the threshold.

use std::collections::{BTreeMap, BTreeSet};

use farmwatch_shared::id::{DeviceId, SiteId};
use farmwatch_shared::judge::Judged;
use farmwatch_shared::state::FactKey;
use farmwatch_shared::waterfall::Bar;
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
        waterfall: waterfall(site, members),
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
    if posterior >= threshold { Severity::Critical } else { Severity::Medium }
}

/// Most findings of a laptop that are named beside its bar, and what each weighs at least, in nats.
const NAMED: usize = 3;
const WORTH_NAMING: f64 = 0.5;

/// A laptop's strongest bars, as a site's alert names them.
fn strongest(judged: &Judged) -> Vec<&Bar> {
    let mut bars: Vec<&Bar> = judged.bars.iter().filter(|bar| bar.llr >= WORTH_NAMING).collect();
    bars.sort_by(|a, b| b.llr.total_cmp(&a.llr));
    bars.truncate(NAMED);
    bars
}

/// What was seen on a laptop, in a few words.
fn seen(judged: &Judged) -> String {
    strongest(judged).into_iter().map(|bar| words::short(&bar.why)).collect::<Vec<_>>().join("; ")
}

/// The site's bars, those of laptops with what was seen on them.
fn waterfall(site: &Site, members: &[Member]) -> Vec<Bar> {
    let named = |bar: &Bar| {
        let member = members.iter().find(|member| Some(&member.id) == bar.device.as_ref());
        let Some(judged) = member.map(|member| &member.judged).filter(|judged| !strongest(judged).is_empty())
        else {
            return bar.clone();
        };
        let facts: BTreeSet<FactKey> =
            strongest(judged).into_iter().flat_map(|bar| bar.facts.iter().cloned()).collect();
        Bar {
            why: format!("{}; {}", seen(judged), bar.why),
            facts: facts.into_iter().collect(),
            ..bar.clone()
        }
    };
    site.judged.bars.iter().map(named).collect()
}

fn summary(site: &Site, members: &[Member], weights: &Weights) -> String {
    let known: BTreeMap<&DeviceId, &Member> = members.iter().map(|member| (&member.id, member)).collect();
    let stands = site.judged.farm >= weights.threshold.site;
    let opening = if stands {
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
    let of_place = || site.judged.bars.iter().filter(|bar| bar.device.is_none() && !bar.rule.is_empty());
    let place = words::list(of_place().filter(|bar| bar.llr > 0.0));
    let place = if place.is_empty() { "- nothing that ordinary places lack".to_owned() } else { place };
    let against = words::list(of_place().filter(|bar| bar.llr < 0.0));
    let against = if against.is_empty() { against } else { format!("\n\nAgainst it:\n{against}") };
    let laptops = site.judged.bars.iter().filter_map(|bar| {
        let member = known.get(bar.device.as_ref()?)?;
        let own = site.judged.devices.get(bar.device.as_ref()?).copied().unwrap_or(0.0);
        let seen = seen(&member.judged);
        let seen = if seen.is_empty() { seen } else { format!(": {seen}") };
        let line = format!("- {}, {} ({:+.1}){seen}", member.name, words::probability(own), bar.llr);
        Some((bar.llr, line))
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
         {}:\n{place}\n\nEach laptop, with the probability that it is remotely operated given the others:\n{}{against}\n\n\
         What would clear it: {}, or each is seen at the own laptop.\n\n\
         What to do now: {}.",
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
        if stands { NOW } else { words::BELOW },
    )
}

const NOW: &str = "do not contact the people through these laptops. Compare where each laptop was shipped with who \
                   lives there, check sign-ins, then isolate them together";

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
