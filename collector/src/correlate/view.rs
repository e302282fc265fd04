//! A site as the evidence about places sees it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Deref;

use farmwatch_shared::id::DeviceId;
use farmwatch_shared::judge::PlaceEvidence;
use farmwatch_shared::usage::Usage;
use farmwatch_shared::weights::Weights;
use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};

use super::same_place::Counts;
use crate::store::{Anchor, AnchorKind, Occupant};

/// Devices of one site.
pub struct SiteView<'a> {
    /// Who is there, by id.
    pub members: Vec<Member<'a>>,
    /// How many of those in one place show an anchor of a place now.
    here: HashMap<&'a Anchor, usize, RandomState>,
    /// What is known beside them.
    pub beside: Beside<'a>,
}

/// What is known beside the devices of a site.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// How many devices of the whole fleet show an anchor now.
    pub counts: &'a Counts,
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
#[derive(Clone)]
pub struct Member<'a> {
    one: &'a Occupant,
    /// Its public address, unless that is an exit's.
    pub address: Option<IpAddr>,
    /// It is one of those in one place, the largest such group: an account may have joined others.
    pub placed: bool,
    /// It is one of those by what is told of laptops that show something, and by nothing else: its neighbours.
    pub noticed: bool,
    /// Whose it is; see [`household`].
    pub household: String,
    /// Since when it shows, at the earliest, what others in one place with it show now.
    pub since: Option<Timestamp>,
}

impl<'a> Member<'a> {
    /// A device, in one place with the others or not.
    pub fn new(one: &'a Occupant, address: Option<IpAddr>, placed: bool) -> Self {
        Self { one, address, placed, noticed: false, household: household(one), since: None }
    }
}

impl Deref for Member<'_> {
    type Target = Occupant;

    fn deref(&self) -> &Occupant {
        self.one
    }
}

impl<'a> SiteView<'a> {
    /// Of its devices.
    pub fn new(mut members: Vec<Member<'a>>, beside: Beside<'a>) -> Self {
        let mut here: HashMap<&Anchor, usize, RandomState> = HashMap::default();
        for member in members.iter().filter(|member| member.placed) {
            for seen in member.one.anchors.iter().filter(|seen| seen.current && seen.anchor.kind.says_where())
            {
                *here.entry(&seen.anchor).or_default() += 1;
            }
        }
        for member in members.iter_mut().filter(|member| member.placed) {
            let now = member.one.anchors.iter().filter(|seen| seen.current);
            let shared = now.filter(|seen| here.get(&seen.anchor).is_some_and(|count| *count > 1));
            member.since = shared.map(|seen| seen.first_seen).min();
        }
        Self { members, here, beside }
    }

    /// Those in one place.
    pub fn placed(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter().filter(|member| member.placed)
    }

    /// Another of those in one place shows now what one of them shows or showed.
    pub fn others_show(&self, anchor: &Anchor, it_does: bool) -> bool {
        self.here.get(anchor).is_some_and(|count| *count > usize::from(it_does))
    }

    /// For how long at least `count` of those in one place have been together, as far as they were heard: silence says nothing.
    pub fn together_for(&self, count: usize) -> SignedDuration {
        let mut since: Vec<Timestamp> = self.placed().filter_map(|member| member.since).collect();
        let mut heard: Vec<Timestamp> = self.placed().map(|member| self.heard(member)).collect();
        since.sort_unstable();
        heard.sort_unstable_by(|a, b| b.cmp(a));
        let index = count.saturating_sub(1);
        match (since.get(index), heard.get(index)) {
            (Some(from), Some(until)) if count > 0 => until.duration_since(*from).max(SignedDuration::ZERO),
            _ => SignedDuration::ZERO,
        }
    }

    /// Until when something is known of one of them.
    pub fn heard(&self, member: &Member<'_>) -> Timestamp {
        member.last_seen.min(self.beside.now)
    }

    /// Evidence with the weights of a rule, scaled by a share of 0 to 1. `None` if the weights file has none.
    pub fn evidence(&self, rule: &str, share: f64, why: String) -> Option<PlaceEvidence> {
        let pair = self.beside.weights.place.get(rule)?;
        let share = share.clamp(0.0, 1.0);
        Some(PlaceEvidence { rule: rule.to_owned(), farm: pair.farm * share, bench: pair.bench * share, why })
    }

    /// Evidence with the weights of a rule, as many times; none if that is never. `None` if the weights file has none.
    pub fn evidence_times(&self, rule: &str, times: usize, why: String) -> Option<PlaceEvidence> {
        let mut evidence = self.evidence(rule, 1.0, why).filter(|_| times > 0)?;
        evidence.farm *= times as f64;
        evidence.bench *= times as f64;
        Some(evidence)
    }
}

impl Member<'_> {
    /// It shows an anchor now.
    pub fn shows(&self, anchor: &Anchor) -> bool {
        self.anchors.iter().any(|seen| seen.current && seen.anchor == *anchor)
    }

    /// It stands in no place with the others: only the pair of hands that works on it joins it to them.
    pub fn is_chosen(&self) -> bool {
        !self.placed && self.current(AnchorKind::Operator).next().is_some()
    }

    /// What it shows now of one kind.
    pub fn current(&self, kind: AnchorKind) -> impl Iterator<Item = &Anchor> {
        self.anchors.iter().filter(move |s| s.current && s.anchor.kind == kind).map(|seen| &seen.anchor)
    }
}

/// Whose a device is, as far as can be told: the same text for two laptops of one person, or of two people with one
/// surname, who may be a family.
fn household(one: &Occupant) -> String {
    let user = one.asset.as_ref().map(|asset| asset.user.trim().to_lowercase()).unwrap_or_default();
    // anna.berg@example.com, "Anna Berg", "Berg, Anna", aberg: the surname, or all of it.
    let name = user.split('@').next().unwrap_or_default();
    let surname = match name.split_once(',') {
        Some((surname, _)) => surname,
        None => name.rsplit(|c: char| c.is_whitespace() || c == '.' || c == '_').next().unwrap_or(name),
    };
    if surname.is_empty() { one.id.to_string() } else { surname.trim().to_owned() }
}
