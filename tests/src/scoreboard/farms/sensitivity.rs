//! How much turns on what was assumed: every base rate of rates.toml three times as high, and a third of it.
//!
//! The fleets have the same seeds, so chance differs only where the rate does, and runs can be compared alert by
//! alert although each is small.

use farmwatch_shared::weights::Weights;

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
    let weights = Weights::shipped();
    let rates = Parameters::rates();
    let changes: Vec<Scale> =
        rates.into_iter().flat_map(|rate| FACTORS.map(|by| (rate.clone(), by))).collect();
    let mut orders = Vec::new();
    for scale in [None].into_iter().chain(changes.iter().map(Some)) {
        orders.extend(many::orders(options, scale, &weights)?);
    }
    let of_each = orders.len() / (1 + changes.len());
    let tallies = many::live_each(orders, options.threads, |run| Tally::of(&run))?;
    let mut runs = tallies.chunks(of_each).map(|of_one| Tally::sum(of_one.iter().copied()));
    let as_it_is = runs.next().unwrap_or_default();
    let scaled: Vec<(String, Tally)> = changes.iter().map(name).zip(runs).collect();
    Ok(told(&as_it_is, &scaled))
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
