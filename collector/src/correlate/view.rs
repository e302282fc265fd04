//! A site as the evidence about places sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::judge::PlaceEvidence;
use farmwatch_shared::usage::Usage;
use farmwatch_shared::weights::Weights;
use jiff::{SignedDuration, Timestamp};

use crate::store::{Anchor, AnchorKind, AnchorSeen, Asset, Standing};

/// Devices of one site.
pub struct SiteView<'a> {
    /// Who is there, by id.
    pub members: Vec<Member>,
    /// Those of them that are in one place, the largest such group: an account may have joined others.
    pub together: BTreeSet<DeviceId>,
    /// How many devices of the whole fleet show an anchor now.
    pub counts: &'a BTreeMap<Anchor, u64>,
    /// When each was worked on. Empty where that could not matter.
    pub rhythms: &'a BTreeMap<DeviceId, Usage>,
    /// IT has imported an asset list.
    pub has_assets: bool,
    /// The numbers.
    pub weights: &'a Weights,
    /// Now.
    pub now: Timestamp,
}

/// A device of a site.
#[derive(Clone, Debug)]
pub struct Member {
    /// Which.
    pub id: DeviceId,
    /// What IT knows of it.
    pub asset: Option<Asset>,
    /// Whether it may report.
    pub standing: Standing,
    /// When it enrolled.
    pub enrolled_at: Timestamp,
    /// Its public address, unless that is an exit's.
    pub address: Option<IpAddr>,
    /// All that it has shown, current or not.
    pub anchors: Vec<AnchorSeen>,
    /// Λ of its own facts.
    pub llr: f64,
}

impl SiteView<'_> {
    /// Those in one place.
    pub fn placed(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| self.together.contains(&member.id))
    }

    /// For each kind of value that at least two of those in one place show now: since when each of them shows it,
    /// at the earliest.
    pub fn since(&self, member: &Member) -> Option<Timestamp> {
        let others =
            |anchor: &Anchor| self.placed().any(|other| other.id != member.id && other.shows(anchor));
        let shared = member.anchors.iter().filter(|seen| seen.current && others(&seen.anchor));
        shared.map(|seen| seen.first_seen).min()
    }

    /// For how long at least `count` of those in one place have been together.
    pub fn together_for(&self, count: usize) -> SignedDuration {
        let mut since: Vec<Timestamp> = self.placed().filter_map(|member| self.since(member)).collect();
        since.sort();
        let from = count.checked_sub(1).and_then(|index| since.get(index));
        from.map_or(SignedDuration::ZERO, |from| self.now.duration_since(*from))
    }

    /// Evidence with the weights of a rule, scaled by a share of 0 to 1. `None` if the weights file has none.
    pub fn evidence(&self, rule: &str, share: f64, why: String) -> Option<PlaceEvidence> {
        let pair = self.weights.place.get(rule)?;
        let share = share.clamp(0.0, 1.0);
        Some(PlaceEvidence { rule: rule.to_owned(), farm: pair.farm * share, bench: pair.bench * share, why })
    }
}

impl Member {
    /// It shows an anchor now.
    pub fn shows(&self, anchor: &Anchor) -> bool {
        self.anchors.iter().any(|seen| seen.current && seen.anchor == *anchor)
    }

    /// What it shows now of one kind.
    pub fn current(&self, kind: AnchorKind) -> impl Iterator<Item = &Anchor> {
        self.anchors.iter().filter(move |s| s.current && s.anchor.kind == kind).map(|seen| &seen.anchor)
    }

    /// Whose it is, as far as can be told: the same text for two laptops of one person, or of two people with one
    /// surname, who may be a family.
    pub fn household(&self) -> String {
        let user = self.asset.as_ref().map(|asset| asset.user.trim().to_lowercase()).unwrap_or_default();
        // anna.berg@example.com, "Anna Berg", "Berg, Anna", aberg: the surname, or all of it.
        let name = user.split('@').next().unwrap_or_default();
        let surname = match name.split_once(',') {
            Some((surname, _)) => surname,
            None => name.rsplit(|c: char| c.is_whitespace() || c == '.' || c == '_').next().unwrap_or(name),
        };
        if surname.is_empty() { self.id.to_string() } else { surname.trim().to_owned() }
    }
}
