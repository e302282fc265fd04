//! How common something is in the fleet: what many laptops have says little of one, and a sensor that sees on all of its
//! model but one says something of that one.
//!
//! Each device is listed by what it has ([`AnchorKind::Trait`]): its model, each blind sensor, what findings say of its tools.
//! The store counts who is listed with every write, so a judgement looks up a number or two.
//!
//! Laptops that are suspected, by themselves or with their place, are not counted, nor are those that stand with the one that
//! is judged.
//!
//! Defeated by the tool that the fleet has anyway: then it is the rest of what a laptop shows that tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use farmwatch_shared::facts::{Host, SensorState, SensorStatus};
use farmwatch_shared::finding::Finding;
use farmwatch_shared::judge::Judged;
use farmwatch_shared::rules::common::{self, Share};
use farmwatch_shared::state::State;
use jiff::{SignedDuration, Timestamp};

use super::history::KEPT_FROM;
use crate::alerts::fleet::MANY;
use crate::app::App;
use crate::store::{Anchor, AnchorKind, AnchorSeen, Device, Result, SiteGlance};

/// A sensor that is blind on a larger share of its model's laptops has a broken driver, as far as can be told.
const UNUSUAL: f64 = 0.01;
/// P(farm-operated) from which a laptop is not counted: ten times what one tool that waits makes of it.
const SUSPECT: f64 = 0.05;
/// The size of the fleet is looked up anew after this.
const SIZE_FOR: SignedDuration = SignedDuration::from_hours(1);
/// Letters of a model's name that count.
const MODEL: usize = 64;
/// Bytes of the longest thing that is counted, and most things of one laptop: no real one comes near.
const LONGEST: usize = 200;
const MOST: usize = 32;
/// Where so many times as many have something as stand with a laptop, those might as well all have it.
const MANY_TIMES: u64 = 20;

const MODEL_OF: &str = "model/";
const BLIND: &str = "blind/";

/// A device's model, and its blind sensors.
pub fn of_sensors(state: &State) -> BTreeSet<Anchor> {
    let model = model(state);
    let blind = state.all::<SensorStatus>().filter(|(_, status)| status.state == SensorState::Blind);
    let blind = blind.map(|(key, _)| listed(format!("{BLIND}{}/{model}", key.name())));
    blind.take(MOST).chain([listed(format!("{MODEL_OF}{model}"))]).collect()
}

/// What findings say of a device's tools.
pub fn of_findings(findings: &[Finding]) -> BTreeSet<Anchor> {
    let says = |finding: &Finding| {
        let what = common::what(finding).filter(|what| what.len() <= LONGEST)?;
        Some(trait_of(&what))
    };
    findings.iter().filter_map(says).take(MOST).collect()
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
    /// The site in which it stands.
    pub site: Option<&'a SiteGlance>,
    /// Now.
    pub now: Timestamp,
}

impl Commonness<'_> {
    /// Its sensors that are blind, and on hardly any other laptop of its model elsewhere are.
    pub async fn unusually_blind(&self, traits: &BTreeSet<Anchor>) -> Result<Vec<String>> {
        // All but one in a hundred see all that there is.
        if traits.len() < 2 {
            return Ok(Vec::new());
        }
        let others = self.elsewhere(traits).await?;
        let of_model =
            others.iter().find(|(of, _)| of.value.starts_with(MODEL_OF)).map_or(0, |(_, count)| *count);
        let unusual = |(of, count): &(Anchor, u64)| {
            let (sensor, _) = of.value.strip_prefix(BLIND)?.split_once('/')?;
            is_unusual(*count, of_model).then(|| sensor.to_owned())
        };
        Ok(others.iter().filter_map(unusual).collect())
    }

    /// What it has and so many laptops elsewhere do that it may be the fleet's.
    pub async fn of_others(&self, traits: &BTreeSet<Anchor>) -> Result<BTreeMap<String, Share>> {
        let mut common = self.elsewhere(traits).await?;
        common.retain(|(_, with)| *with >= MANY / 2);
        if common.is_empty() {
            return Ok(BTreeMap::new());
        }
        let others = self.app.fleet.size(self.app, self.now).await?.saturating_sub(1 + self.beside());
        let share = |(of, with): (Anchor, u64)| (of.value, Share { with, of: others.max(with) });
        Ok(common.into_iter().map(share).collect())
    }

    /// How many others stand with it.
    fn beside(&self) -> u64 {
        self.site.map_or(0, |site| site.size.saturating_sub(1))
    }

    /// How many are listed under each that do not stand with it.
    async fn elsewhere(&self, traits: &BTreeSet<Anchor>) -> Result<Vec<(Anchor, u64)>> {
        let traits: Vec<Anchor> = traits.iter().cloned().collect();
        if traits.is_empty() {
            return Ok(Vec::new());
        }
        let (beside, store) = (self.beside(), &self.app.store);
        let mut counts = store.counts_at(&traits).await?;
        let is_listed = |of: &Anchor| self.before.iter().any(|seen| seen.current && seen.anchor == *of);
        let itself: Vec<u64> = traits.iter().map(|of| u64::from(is_listed(of))).collect();
        let few = |count: &u64| *count > 0 && *count < MANY_TIMES * beside;
        // Of those that stand with it as many as are listed, where that matters.
        let here = match self.device.site.as_ref().filter(|_| counts.iter().any(few)) {
            Some(site) => store.counts_in(site, &traits).await?,
            None => itself.iter().map(|itself| itself + beside).collect(),
        };
        for (count, here) in counts.iter_mut().zip(here) {
            *count = count.saturating_sub(here);
        }
        Ok(traits.into_iter().zip(counts).collect())
    }
}

/// Of what so many have, what weighs less for it.
pub fn of_the_fleet(common: &BTreeMap<String, Share>) -> BTreeMap<String, Share> {
    let fleets = common.iter().filter(|(_, share)| share.with >= MANY);
    fleets.map(|(what, share)| (what.clone(), *share)).collect()
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
        let enrolled = app.store.device_count().await?.good();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, enrolled));
        Ok(enrolled)
    }
}

/// System, maker and model in one word.
fn model(state: &State) -> String {
    let Some(host) = state.get::<Host>("self") else { return "unknown".into() };
    let (vendor, model) =
        (host.vendor.as_deref().unwrap_or_default(), host.model.as_deref().unwrap_or_default());
    let words = format!("{}/{} {}", host.os, vendor.trim(), model.trim());
    words.to_lowercase().chars().take(MODEL).collect()
}

fn listed(value: String) -> Anchor {
    Anchor { kind: AnchorKind::Trait, value }
}

#[cfg(test)]
#[path = "prevalence_tests.rs"]
mod tests;
