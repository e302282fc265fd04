//! What each kind of evidence adds: the same fleets judged without it.
//!
//! Without means with its weights at zero, as an operator could set them in a weights file: each kind of evidence
//! about a place, and each group of rules about a laptop.

use std::collections::BTreeMap;

use farmwatch_shared::weights::Weights;

use super::tally::Tally;
use super::{Options, many};
use crate::scoreboard::row::Row;

/// A line for each, after one with everything.
pub fn rows(options: &Options, everything: Tally) -> anyhow::Result<Vec<Row>> {
    let modules = modules(&options.weights);
    let (mut orders, mut ends) = (Vec::new(), vec![0]);
    for module in modules.values() {
        let all = many::orders(options, None, &module.without)?;
        orders.extend(all.into_iter().filter(|order| order.parameters.farms.drawn > 0 || module.holds_back));
        ends.push(orders.len());
    }
    let tallies = many::live_each(orders, options.threads, |run| Tally::of(&run))?;
    let rows = modules.iter().zip(ends.windows(2)).map(|((name, module), ends)| {
        let without = Tally::sum(tallies[ends[0]..ends[1]].iter().copied()).or(&everything);
        let more = (!module.holds_back)
            .then(|| "speaks only for a farm: no false alert comes of its absence".to_owned());
        row(&format!("without {name}"), &without).notes([differs(&everything, &without)]).notes(more)
    });
    Ok([row("with everything", &everything)].into_iter().chain(rows).collect())
}

fn row(label: &str, tally: &Tally) -> Row {
    Row::figure(format!("{label}: farms of two or more found"), tally.several())
        .beside("single farm laptops found", tally.single())
        .beside("site alerts about honest laptops in a device-month", tally.site())
        .beside("device alerts about honest laptops in a device-month", tally.device())
}

/// What it adds, in words.
fn differs(with: &Tally, without: &Tally) -> String {
    if with == without {
        return "changes nothing here".to_owned();
    }
    let more = |what: &str, with: usize, without: usize| {
        #[allow(clippy::cast_possible_wrap, reason = "some hundreds")]
        let by = with as i64 - without as i64;
        (by != 0).then(|| format!("{by:+} {what}"))
    };
    let all = [
        more("farms of two or more", with.several.0, without.several.0),
        more("single laptops", with.single.0, without.single.0),
        more("false site alerts", with.site, without.site),
        more("false device alerts", with.device, without.device),
    ];
    format!("it adds {}", all.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// One kind of evidence.
struct Module {
    /// Weights without it.
    without: Weights,
    /// Some of it speaks against a farm, or for another world more than for a farm's, so that without it there may be more
    /// false alerts. Fleets without farms need not be lived again for what only speaks for one.
    holds_back: bool,
}

/// All of them, by name.
fn modules(shipped: &Weights) -> BTreeMap<String, Module> {
    let mut all: BTreeMap<String, Module> = BTreeMap::new();
    let new = || Module { without: shipped.clone(), holds_back: false };
    for (rule, pair) in &shipped.place {
        let module = all.entry(module(rule)).or_insert_with(new);
        module.holds_back |= pair.farm < 0.0 || pair.bench > pair.farm;
        if let Some(pair) = module.without.place.get_mut(rule) {
            (pair.farm, pair.bench) = (0.0, 0.0);
        }
    }
    for (rule, pair) in &shipped.rule {
        let group = rule.split('.').next().unwrap_or(rule);
        let module = all.entry(format!("{group}.*")).or_insert_with(new);
        module.holds_back |= pair.farm < 0.0 || pair.honest > pair.farm;
        if let Some(pair) = module.without.rule.get_mut(rule) {
            (pair.farm, pair.honest) = (0.0, 0.0);
        }
    }
    all
}

/// Weights of one module differ by a number at the end of their names: `place.unrelated_3`, `place.unrelated_4`.
fn module(rule: &str) -> String {
    match rule.rsplit_once('_') {
        Some((module, number)) if number.parse::<u32>().is_ok() => module.to_owned(),
        _ => rule.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_taken_out_whole_and_alone() {
        let shipped = Weights::shipped();
        let modules = modules(&shipped);
        let without = &modules["place.unrelated"].without;
        for (rule, pair) in &without.place {
            assert_eq!(pair.farm == 0.0, rule.starts_with("place.unrelated"), "{rule}");
        }
        assert_eq!(without.rule, shipped.rule);
        let without = &modules["hands.*"].without;
        assert!(without.rule.iter().all(|(rule, pair)| {
            if rule.starts_with("hands.") { pair.farm == 0.0 } else { *pair == shipped.rule[rule] }
        }));
        assert_eq!(without.place, shipped.place);
        let held_back = |name: &str| modules[name].holds_back;
        assert!(held_back("hands.*") && held_back("place.workplace") && !held_back("place.unrelated"));
    }

    #[test]
    fn what_a_module_adds_is_said_in_words() {
        let with = Tally { several: (5, 9), site: 1, ..Tally::default() };
        let without = Tally { several: (3, 9), site: 4, ..Tally::default() };
        assert_eq!(differs(&with, &without), "it adds +2 farms of two or more, -3 false site alerts");
        assert_eq!(differs(&with, &with), "changes nothing here");
    }
}
