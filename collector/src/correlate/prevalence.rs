//! How common something is in the fleet: what many laptops have says little of one, and a sensor that sees on all of its
//! model but one says something of that one.
//!
//! Each device is listed by what it has ([`AnchorKind::Trait`]): its model, each blind sensor, what findings say of its tools.
//! The store counts who is listed with every write, so a judgement looks up a number or two.
//!
//! Laptops that are suspected, by themselves or with their place, are not counted.
//!
//! Defeated by the tool that the fleet has anyway: then it is the rest of what a laptop shows that tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use farmwatch_shared::facts::{Host, SensorState, SensorStatus};
use farmwatch_shared::finding::Finding;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::judge::Judged;
use farmwatch_shared::rules::common::{self, Share};
use farmwatch_shared::state::State;
use jiff::{SignedDuration, Timestamp};

use super::history::KEPT_FROM;
use crate::alerts::fleet_tool::MANY;
use crate::app::App;
use crate::store::{Anchor, AnchorKind, AnchorSeen, Device, Occupant, Result, SiteGlance};

/// A sensor that is blind on a larger share of its model's laptops has a broken driver, as far as can be told.
const UNUSUAL: f64 = 0.01;
/// P(farm-operated) from which a laptop is not counted: ten times what one tool that waits makes of it.
const SUSPECT: f64 = 0.05;
/// The size of the fleet is looked up anew after this.
const SIZE_FOR: SignedDuration = SignedDuration::from_hours(1);
/// Letters of a model's name that count.
const MODEL: usize = 64;

const MODEL_OF: &str = "model/";
const BLIND: &str = "blind/";

/// A device's model, and its blind sensors.
pub fn of_sensors(state: &State) -> BTreeSet<Anchor> {
    let model = model(state);
    let blind = state.all::<SensorStatus>().filter(|(_, status)| status.state == SensorState::Blind);
    let blind = blind.map(|(key, _)| listed(format!("{BLIND}{}/{model}", key.name())));
    blind.chain([listed(format!("{MODEL_OF}{model}"))]).collect()
}

/// What findings say of a device's tools, each with the most that it says, in nats.
pub fn of_findings(findings: &[Finding]) -> BTreeMap<Anchor, f64> {
    let says = |finding: &Finding| {
        let what = common::what(finding)?;
        Some((trait_of(&what), finding.llr.max(finding.honest_llr)))
    };
    findings.iter().filter_map(says).collect()
}

/// The list of those of which a finding says this; see [`common::what`].
pub fn trait_of(what: &str) -> Anchor {
    listed(what.to_owned())
}

/// Looks up how common it is what a device has.
#[derive(Clone, Copy)]
pub struct Commonness<'a> {
    /// Where it is counted.
    pub app: &'a App,
    /// The device.
    pub device: &'a Device,
    /// What the device is listed under, as stored.
    pub before: &'a [AnchorSeen],
    /// Now.
    pub now: Timestamp,
}

impl Commonness<'_> {
    /// Its sensors that are blind, and on hardly any other laptop of its model are.
    pub async fn unusually_blind(&self, traits: &BTreeSet<Anchor>) -> Result<Vec<String>> {
        // All but one in a hundred see all that there is.
        if traits.len() < 2 {
            return Ok(Vec::new());
        }
        let others = self.others(traits.iter()).await?;
        let of_model =
            others.iter().find(|(of, _)| of.value.starts_with(MODEL_OF)).map_or(0, |(_, count)| *count);
        let unusual = |(of, count): &(Anchor, u64)| {
            let (sensor, _) = of.value.strip_prefix(BLIND)?.split_once('/')?;
            is_unusual(*count, of_model).then(|| sensor.to_owned())
        };
        Ok(others.iter().filter_map(unusual).collect())
    }

    /// What it has and much of the fleet elsewhere does, so that it says less than [`of_findings`] would have it.
    pub async fn of_others(&self, traits: &BTreeMap<Anchor, f64>) -> Result<BTreeMap<String, Share>> {
        let mut common = BTreeMap::new();
        if traits.is_empty() {
            return Ok(common);
        }
        let others = self.others(traits.keys()).await?;
        for ((of, with), says) in
            others.into_iter().zip(traits.values()).filter(|((_, with), _)| *with >= MANY)
        {
            let everywhere = Share { with, of: self.app.fleet.size(self.app, self.now).await? };
            // A rare one needs no closer look.
            if everywhere.bound() < *says
                && let Some(share) = self.elsewhere(&of, with).await?
            {
                common.insert(of.value, share);
            }
        }
        Ok(common)
    }

    /// How many others are listed under each.
    async fn others(&self, traits: impl Iterator<Item = &Anchor>) -> Result<Vec<(Anchor, u64)>> {
        let traits: Vec<Anchor> = traits.cloned().collect();
        let counts = self.app.store.counts_at(&traits).await?;
        let listed = |of: &Anchor| self.before.iter().any(|seen| seen.current && seen.anchor == *of);
        let others = |(of, count): (Anchor, u64)| {
            let count = count.saturating_sub(u64::from(listed(&of)));
            (of, count)
        };
        Ok(traits.into_iter().zip(counts).map(others).collect())
    }

    /// Of those that do not stand with the device, how many are listed, where `others` are; `None` if those are too few.
    async fn elsewhere(&self, of: &Anchor, others: u64) -> Result<Option<Share>> {
        let site = match &self.device.site {
            Some(site) => self.app.store.site(site).await?,
            None => None,
        };
        let beside = site.map(|site| site.devices).unwrap_or_default();
        let beside: Vec<DeviceId> = beside.into_iter().filter(|id| *id != self.device.id).collect();
        let listed = |one: &&Occupant| one.anchors.iter().any(|seen| seen.current && seen.anchor == *of);
        let here = self.app.store.occupants(&beside).await?.iter().filter(listed).count() as u64;
        let fleet = self.app.fleet.size(self.app, self.now).await?;
        let with = others.saturating_sub(here);
        let of = fleet.saturating_sub(1 + beside.len() as u64).max(with);
        Ok((with >= MANY).then_some(Share { with, of }))
    }
}

/// Whoever is suspected tells nothing of what is common among people who are not: one company's farms have one tool.
pub fn is_suspect(judged: &Judged, site: Option<&SiteGlance>) -> bool {
    judged.posterior >= SUSPECT || site.is_some_and(|site| site.farm >= KEPT_FROM)
}

/// The device itself is one more.
fn is_unusual(others: u64, of: u64) -> bool {
    ((others + 1) as f64) < UNUSUAL * (of + 1) as f64
}

/// How large the fleet is, as of late.
#[derive(Debug, Default)]
pub struct Fleet(Mutex<Option<(Timestamp, u64)>>);

impl Fleet {
    async fn size(&self, app: &App, now: Timestamp) -> Result<u64> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, size)) = known.filter(|(at, _)| now.duration_since(*at).abs() < SIZE_FOR) {
            return Ok(size);
        }
        let (enrolled, _) = app.store.device_count().await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, enrolled));
        Ok(enrolled)
    }
}

/// System, maker and model in one word.
fn model(state: &State) -> String {
    let Some(host) = state.get::<Host>("self") else { return "unknown".into() };
    let (vendor, model) = (host.vendor.unwrap_or_default(), host.model.unwrap_or_default());
    let words = format!("{}/{} {}", host.os, vendor.trim(), model.trim());
    words.to_lowercase().chars().take(MODEL).collect()
}

fn listed(value: String) -> Anchor {
    Anchor { kind: AnchorKind::Trait, value }
}

#[cfg(test)]
#[path = "prevalence_tests.rs"]
mod tests;
