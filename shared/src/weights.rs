//! The weights file: every number of the judgement, each with its source, each the operator's to override.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Priors, thresholds, caps and the weight pairs of all rules.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// What is likely before anything is seen.
    pub prior: Prior,
    /// How explanations are spread within each world of a site.
    pub site: SiteModel,
    /// Posteriors at which alerts are raised.
    pub threshold: Threshold,
    /// Most that all findings with one cause may add, by the kind of cause (the word before its `:`).
    pub cap: BTreeMap<String, f64>,
    /// Somebody honest with several ways in.
    pub second_way: SecondWay,
    /// Innocent twins by name: honest people who show what farms show.
    pub twin: BTreeMap<String, Twin>,
    /// Weight pairs by rule.
    pub rule: BTreeMap<String, Pair>,
    /// Weights of evidence about places, given that the laptops are together.
    pub place: BTreeMap<String, PlacePair>,
}

/// Probabilities before evidence.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// A laptop is farm-operated.
    pub farm_operated: f64,
    /// A laptop is honestly remote.
    pub honest_remote: f64,
    /// A place is a farm.
    pub farm_place: f64,
    /// One operator works on laptops of the fleet that stand apart.
    pub operator: f64,
    /// A place is IT's bench, a lab, a repair shop.
    pub bench_place: f64,
}

/// Share of explanations among the laptops of a place, by its world.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteModel {
    /// π₁ = P(farm-operated | farm).
    pub farm_operated_in_farm: f64,
    /// π₀ = P(honest remote | ordinary).
    pub honest_remote_in_ordinary: f64,
    /// π₂ = P(honest remote | bench).
    pub honest_remote_in_bench: f64,
}

/// Posteriors at which alerts are raised.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Device alert.
    pub device: f64,
    /// Site alert.
    pub site: f64,
}

/// Ways in of different kinds (a program, a box) on one laptop.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondWay {
    /// The most that B counts of every way but the strongest.
    pub honest: f64,
}

/// An innocent twin: what it shows can say no more, in sum, than that twins are rare too.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twin {
    /// Share of all laptops.
    pub rate: f64,
    /// Share of farm laptops that are operated in the way that looks the same.
    pub alike: f64,
    /// Rules; where none of them finds anything, it is no such twin.
    pub needs: Vec<String>,
    /// What it always shows: rules, or kinds of causes.
    pub shows: Vec<String>,
    /// What it is, in a few words.
    pub what: String,
    /// Where the numbers come from, or `assumption`.
    pub source: String,
}

/// A weight pair, both in nats against own hands.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// Λ.
    pub farm: f64,
    /// B.
    pub honest: f64,
    /// Where the numbers come from, or `assumption`.
    pub source: String,
}

/// A weight of evidence about a place, in nats against an ordinary place.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacePair {
    /// ln P(evidence | farm) / P(evidence | ordinary), given co-location.
    pub farm: f64,
    /// ln P(evidence | bench) / P(evidence | ordinary), given co-location.
    pub bench: f64,
    /// Where the numbers come from, or `assumption`.
    pub source: String,
}

/// A weights file that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BadWeights {
    /// Not of the file's form.
    #[error("weights: {0}")]
    Form(String),
    /// A number that no judgement can be made with.
    #[error("weights: {what} is {value}; it should be {wanted}")]
    Number {
        /// Which.
        what: String,
        /// Its value.
        value: f64,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Weights {
    /// The weights that this version ships.
    pub fn shipped() -> Self {
        #[allow(clippy::expect_used, reason = "the file is part of the program and a test reads it")]
        Self::parse(include_str!("rules/weights.toml")).expect("shipped weights")
    }

    /// Reads a whole weights file.
    pub fn parse(text: &str) -> Result<Self, BadWeights> {
        let weights: Self = toml::from_str(text).map_err(|e| BadWeights::Form(e.to_string()))?;
        weights.check()?;
        Ok(weights)
    }

    /// The shipped weights with what an operator's file changes. The file has the same form; what it does not
    /// name stays.
    pub fn with_overrides(text: &str) -> Result<Self, BadWeights> {
        let form = |e: toml::de::Error| BadWeights::Form(e.to_string());
        let mut base: toml::Table = toml::from_str(include_str!("rules/weights.toml")).map_err(form)?;
        merge(&mut base, toml::from_str(text).map_err(form)?);
        let weights: Self = base.try_into().map_err(form)?;
        weights.check()?;
        Ok(weights)
    }

    fn check(&self) -> Result<(), BadWeights> {
        let probabilities = [
            ("prior.farm_operated", self.prior.farm_operated),
            ("prior.honest_remote", self.prior.honest_remote),
            ("prior.farm_place", self.prior.farm_place),
            ("prior.operator", self.prior.operator),
            ("prior.bench_place", self.prior.bench_place),
            ("site.farm_operated_in_farm", self.site.farm_operated_in_farm),
            ("site.honest_remote_in_ordinary", self.site.honest_remote_in_ordinary),
            ("site.honest_remote_in_bench", self.site.honest_remote_in_bench),
            ("threshold.device", self.threshold.device),
            ("threshold.site", self.threshold.site),
        ];
        let twins =
            self.twin.iter().flat_map(|(name, t)| [(name.as_str(), t.rate), (name.as_str(), t.alike)]);
        for (what, value) in probabilities.into_iter().chain(twins) {
            if !(value > 0.0 && value < 1.0) {
                return Err(number(what, value, "between 0 and 1"));
            }
        }
        let sums = [
            (
                "prior.farm_operated + site.honest_remote_in_ordinary",
                self.prior.farm_operated + self.site.honest_remote_in_ordinary,
            ),
            (
                "prior.farm_operated + prior.honest_remote",
                self.prior.farm_operated + self.prior.honest_remote,
            ),
            ("prior.operator + prior.bench_place", self.prior.operator + self.prior.bench_place),
            ("prior.farm_place + prior.bench_place", self.prior.farm_place + self.prior.bench_place),
        ];
        for (what, value) in sums {
            if value >= 1.0 {
                return Err(number(what, value, "below 1, so that something is left for the common case"));
            }
        }
        let nats = self.rule.iter().flat_map(|(name, p)| [(name, p.farm), (name, p.honest)]);
        let nats = nats.chain(self.place.iter().flat_map(|(name, p)| [(name, p.farm), (name, p.bench)]));
        for (what, value) in nats.chain(self.cap.iter().map(|(name, cap)| (name, *cap))) {
            if !(-20.0..=20.0).contains(&value) {
                return Err(number(what, value, "between -20 and 20 nats"));
            }
        }
        Ok(())
    }
}

fn number(what: &str, value: f64, wanted: &'static str) -> BadWeights {
    BadWeights::Number { what: what.to_owned(), value, wanted }
}

fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_reads() {
        assert!(Weights::shipped().prior.farm_operated < 0.01);
    }

    #[test]
    fn an_operator_changes_one_number_and_keeps_the_rest() {
        let changed = Weights::with_overrides("[threshold]\ndevice = 0.97").unwrap();
        assert!((changed.threshold.device - 0.97).abs() < 1e-9);
        assert_eq!(changed.prior, Weights::shipped().prior);
        assert!(Weights::with_overrides("[threshold]\ndevice = 1.5").is_err());
        assert!(Weights::with_overrides("[treshold]\ndevice = 0.5").is_err());
        assert!(Weights::with_overrides("[prior]\nfarm_place = 0.6\nbench_place = 0.6").is_err());
    }
}
