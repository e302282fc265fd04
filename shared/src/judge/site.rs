//! A site's three worlds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ln_mix, ln_sum};
use crate::id::DeviceId;
use crate::waterfall::Bar;
use crate::weights::Weights;

/// Evidence about a place, given that the laptops are together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceEvidence {
    /// Which evidence: the key of its weights.
    pub rule: String,
    /// ln P(evidence | farm) / P(evidence | ordinary).
    pub farm: f64,
    /// ln P(evidence | bench) / P(evidence | ordinary).
    pub bench: f64,
    /// In one sentence, with the numbers behind it.
    pub why: String,
}

impl PlaceEvidence {
    /// Its name among bars, which reads without the sentence beside it: `place.one_pair` is "One pair".
    fn label(&self) -> String {
        let name = self.rule.rsplit('.').next().unwrap_or_default();
        let name = name.trim_end_matches(|end: char| end == '_' || end.is_ascii_digit()).replace('_', " ");
        let mut letters = name.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    }
}

/// A site, judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JudgedSite {
    /// P(farm).
    pub farm: f64,
    /// P(ordinary).
    pub ordinary: f64,
    /// P(bench).
    pub bench: f64,
    /// Its bars: the prior, the place's evidence, each device's term.
    pub bars: Vec<Bar>,
    /// P(farm-operated) of each device, given the rest of its site.
    pub devices: BTreeMap<DeviceId, f64>,
}

/// What a laptop's own facts say at its site.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnFacts {
    /// Whose.
    pub device: DeviceId,
    /// Λ, as it counts here.
    pub llr: f64,
    /// B, likewise.
    pub honest_llr: f64,
    /// It stands apart, and one pair of hands alone joins it to the others.
    pub chosen: bool,
    /// In a few words.
    pub why: String,
}

impl OwnFacts {
    /// All of them.
    pub fn of(device: DeviceId, llr: f64, honest_llr: f64) -> Self {
        let why = format!("its own facts: Λ = {llr:.1}, B = {honest_llr:.1}");
        Self { device, llr, honest_llr, chosen: false, why }
    }

    /// Of a laptop that only its operator joins to the others: it was found among those that are worked on from afar. That
    /// it is one of these is why it is here, and no evidence of why. So only what tells a farm from honest remote work
    /// counts.
    pub fn of_chosen(device: DeviceId, llr: f64, honest_llr: f64) -> Self {
        let why = format!(
            "worked on from afar, which is why it was compared: only Λ − B counts, {llr:.1} − {honest_llr:.1}"
        );
        Self { device, llr: llr - honest_llr, honest_llr: 0.0, chosen: true, why }
    }
}

/// Judges a site exactly: a star from the world to each device's explanation to its facts.
///
/// In an ordinary place a laptop is honestly remote with π₀ and farm-operated with the
/// device's prior p_R, as when it is judged alone: so one laptop adds at most ln(π₁ / p_R), and however strange
/// it is, it makes no farm of the place it stands in.
pub fn site(place: &[PlaceEvidence], devices: &[OwnFacts], weights: &Weights) -> JudgedSite {
    let prior = &weights.prior;
    let model = &weights.site;
    // Laptops that all stand apart are no place: evidence of one pair of hands has paid for every pair that was compared, so
    // what is left is how many fleets have such an operator at all.
    let apart = !devices.is_empty() && devices.iter().all(|one| one.chosen);
    let farm_prior = if apart { prior.operator } else { prior.farm_place };
    let ordinary_prior = 1.0 - farm_prior - prior.bench_place;
    // ln of: facts of one device, in each world, against own hands
    let in_farm = |llr: f64| ln_mix(model.farm_operated_in_farm, llr);
    let in_ordinary = |llr: f64, honest: f64| {
        let (farm, remote) = (prior.farm_operated, model.honest_remote_in_ordinary);
        ln_sum(&[farm.ln() + llr, remote.ln() + honest, (1.0 - farm - remote).ln()])
    };
    let in_bench = |honest: f64| ln_mix(model.honest_remote_in_bench, honest);

    let mut bars = vec![Bar {
        label: "Prior".into(),
        rule: String::new(),
        llr: (farm_prior / ordinary_prior).ln(),
        honest_llr: None,
        why: if apart {
            format!("in 1 fleet of {:.0} one operator works on laptops that stand apart", 1.0 / farm_prior)
        } else {
            format!("1 place in {:.0} is a farm", 1.0 / farm_prior)
        },
        device: None,
        facts: Vec::new(),
    }];
    let mut farm = farm_prior.ln();
    let mut bench = prior.bench_place.ln();
    let mut ordinary = ordinary_prior.ln();
    for evidence in place {
        farm += evidence.farm;
        bench += evidence.bench;
        bars.push(Bar {
            label: evidence.label(),
            rule: evidence.rule.clone(),
            llr: evidence.farm,
            honest_llr: None,
            why: evidence.why.clone(),
            device: None,
            facts: Vec::new(),
        });
    }
    for OwnFacts { device, llr, honest_llr, why, .. } in devices {
        farm += in_farm(*llr);
        ordinary += in_ordinary(*llr, *honest_llr);
        bench += in_bench(*honest_llr);
        bars.push(Bar {
            label: "Laptop".into(),
            rule: "site.device".into(),
            llr: in_farm(*llr) - in_ordinary(*llr, *honest_llr),
            honest_llr: None,
            why: why.clone(),
            device: Some(device.clone()),
            facts: Vec::new(),
        });
    }
    // So that the bars sum to ln P(farm) / P(not farm): what the third world takes.
    bars.push(Bar {
        label: "Bench".into(),
        rule: "site.bench".into(),
        llr: ordinary - ln_sum(&[ordinary, bench]),
        honest_llr: None,
        why: "laptops in IT's own hands, or a repair shop's, explain a part of this too".into(),
        device: None,
        facts: Vec::new(),
    });
    let total = ln_sum(&[farm, ordinary, bench]);
    let (farm, ordinary, bench) = ((farm - total).exp(), (ordinary - total).exp(), (bench - total).exp());
    let of_device = |llr: f64, honest: f64| {
        let operated_in_farm = (model.farm_operated_in_farm.ln() + llr - in_farm(llr)).exp();
        let operated_in_ordinary = (prior.farm_operated.ln() + llr - in_ordinary(llr, honest)).exp();
        farm * operated_in_farm + ordinary * operated_in_ordinary
    };
    let devices =
        devices.iter().map(|one| (one.device.clone(), of_device(one.llr, one.honest_llr))).collect();
    JudgedSite { farm, ordinary, bench, bars, devices }
}
