//! How much turns on what was assumed: every base rate of rates.toml three times as high, and a third of it.
//!
//! The fleets have the same seeds, so chance differs only where the rate does, and runs can be compared alert by
//! alert although each is small.

use super::tally::Tally;
use super::{Options, Scale, many};
use crate::fleet::Parameters;
use crate::scoreboard::row::Row;

/// What each rate is multiplied by.
const FACTORS: [f64; 2] = [3.0, 1.0 / 3.0];
/// No run may have more than so many times the false alerts of the rates as they are.
const AT_MOST: usize = 3;

/// Worst runs, and every run that differs.
pub fn rows(options: &Options) -> anyhow::Result<Vec<Row>> {
    let weights = &options.weights;
    let rates = Parameters::rates();
    let changes: Vec<Scale> =
        rates.into_iter().flat_map(|rate| FACTORS.map(|by| (rate.clone(), by))).collect();
    let mut orders = many::orders(options, None, weights)?;
    let mut ends = vec![orders.len()];
    for scale in &changes {
        let all = many::orders(options, Some(scale), weights)?;
        orders.extend(all.into_iter().filter(|order| turns_on(&scale.0, order.parameters.farms.drawn > 0)));
        ends.push(orders.len());
    }
    let tallies = many::live_each(orders, options.threads, |run| Tally::of(&run))?;
    let sum = |from: usize, until: usize| Tally::sum(tallies[from..until].iter().copied());
    let as_it_is = sum(0, ends[0]);
    let runs = ends.windows(2).map(|ends| sum(ends[0], ends[1]).or(&as_it_is));
    let scaled: Vec<(String, Tally)> = changes.iter().map(name).zip(runs).collect();
    Ok(told(&as_it_is, &scaled))
}

/// Whether fleets, with farms or without, are lived anew for a rate: rates of farms say nothing about honest laptops,
/// and how often people do this or that hardly anything about farms; networks are everybody's.
fn turns_on(rate: &str, has_farms: bool) -> bool {
    match rate.split('.').next() {
        Some("farms") => has_farms,
        Some("networks" | "fleet") => true,
        _ => !has_farms,
    }
}

fn name((rate, by): &Scale) -> String {
    format!("{rate} {}", if *by > 1.0 { "× 3" } else { "÷ 3" })
}

fn told(as_it_is: &Tally, scaled: &[(String, Tally)]) -> Vec<Row> {
    let mut rows = vec![
        Row::figure("rates as they are: farms of two or more found", as_it_is.several())
            .beside("single farm laptops found", as_it_is.single())
            .beside("site alerts about honest laptops in a device-month", as_it_is.site())
            .beside("device alerts about honest laptops in a device-month", as_it_is.device()),
    ];
    // One alert is no rate: where there is none as it is, one is allowed for.
    let goal = |count: usize| (count.max(1) * AT_MOST) as f64 / as_it_is.months;
    if let Some((name, most)) = scaled.iter().max_by_key(|(_, tally)| tally.site) {
        let label = format!("most site alerts in a device-month: {name}");
        rows.push(Row::figure(label, most.site()).at_most(goal(as_it_is.site)));
    }
    if let Some((name, most)) = scaled.iter().max_by_key(|(_, tally)| tally.device) {
        let label = format!("most device alerts in a device-month: {name}");
        rows.push(Row::figure(label, most.device()).at_most(goal(as_it_is.device)));
    }
    let share = |tally: &Tally| tally.several().value();
    if let Some((name, least)) = scaled.iter().min_by(|(_, a), (_, b)| share(a).total_cmp(&share(b))) {
        rows.push(Row::figure(format!("fewest farms of two or more found: {name}"), least.several()));
    }
    let differ: Vec<&(String, Tally)> = scaled.iter().filter(|(_, tally)| tally != as_it_is).collect();
    let notes = differ.iter().map(|(name, tally)| format!("{name}: {}", tally.words()));
    rows.push(
        Row::share("runs that came to something else", differ.len(), scaled.len())
            .notes([format!("as it is: {}", as_it_is.words())])
            .notes(notes),
    );
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_farms_is_not_measured_on_fleets_without_any() {
        assert!(turns_on("farms.kvm", true) && !turns_on("farms.kvm", false));
        assert!(!turns_on("people.docked", true) && turns_on("people.docked", false));
        assert!(turns_on("networks.cgn", true) && turns_on("networks.cgn", false));
        let as_it_is = Tally { several: (8, 10), single: (1, 2), site: 1, device: 2, months: 100.0 };
        let of_farms = Tally { several: (9, 10), single: (0, 2), ..Tally::default() };
        assert_eq!(of_farms.or(&as_it_is), Tally { several: (9, 10), single: (0, 2), ..as_it_is });
        let of_others = Tally { site: 3, months: 100.0, ..Tally::default() };
        assert_eq!(of_others.or(&as_it_is), Tally { site: 3, device: 0, ..as_it_is });
    }

    #[test]
    fn the_worst_rate_is_named_and_held_against_three_times_the_alerts_as_it_is() {
        let as_it_is = Tally { several: (8, 10), site: 1, months: 100.0, ..Tally::default() };
        let worse = Tally { site: 4, ..as_it_is };
        let blind = Tally { several: (2, 10), ..as_it_is };
        let scaled = [
            ("people.docked × 3".to_owned(), worse),
            ("networks.cgn × 3".to_owned(), blind),
            ("people.moves ÷ 3".to_owned(), as_it_is),
        ];
        let rows = told(&as_it_is, &scaled);
        assert!(rows[1].label.ends_with("people.docked × 3") && rows[1].met() == Some(false), "{rows:?}");
        assert!(rows[3].label.ends_with("networks.cgn × 3"), "{rows:?}");
        assert_eq!(rows[4].figure, crate::scoreboard::row::Figure::Share { count: 2, of: 3 });
    }
}
