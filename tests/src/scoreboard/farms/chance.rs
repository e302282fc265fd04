//! Intervals of rates, and quantiles.

use jiff::SignedDuration;

/// The exact 95 % interval of the mean of what was counted once (Garwood): the means at which so many, or fewer, or
/// more, are still seen once in forty times.
pub fn poisson(count: usize) -> (f64, f64) {
    const TAIL: f64 = 0.025;
    let low = if count == 0 { 0.0 } else { mean_at(|mean| 1.0 - at_most(count - 1, mean) < TAIL) };
    (low, mean_at(|mean| at_most(count, mean) > TAIL))
}

/// The mean up to which `below` holds.
fn mean_at(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while below(high) {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if below(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// P(at most `count`) with a mean.
fn at_most(count: usize, mean: f64) -> f64 {
    let mut ln_term = -mean;
    let mut sum = ln_term.exp();
    for number in 1..=count {
        ln_term += mean.ln() - (number as f64).ln();
        sum += ln_term.exp();
    }
    sum.min(1.0)
}

/// The quantile of some times in hours; not a number where there are none.
pub fn quantile(sorted: &[SignedDuration], share: f64) -> f64 {
    let Some(most) = sorted.len().checked_sub(1) else { return f64::NAN };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let index = (most as f64 * share).round() as usize;
    sorted[index.min(most)].as_secs_f64() / 3600.0
}

/// A quantile's distribution-free 95 % interval: by the order statistics that a binomial count leaves.
pub fn quantile_interval(sorted: &[SignedDuration], share: f64) -> (f64, f64) {
    let count = sorted.len() as f64;
    let spread = 1.96 * (share * (1.0 - share) / count.max(1.0)).sqrt();
    (quantile(sorted, (share - spread).max(0.0)), quantile(sorted, (share + spread).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        let near = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 5e-3 && (b - d).abs() < 5e-3;
        assert!(near(poisson(0), (0.0, 3.689)));
        assert!(near(poisson(1), (0.025, 5.572)));
        assert!(near(poisson(10), (4.795, 18.390)), "{:?}", poisson(10));
    }

    #[test]
    fn quantiles_are_of_the_list() {
        let hours: Vec<SignedDuration> = (0..=10).map(SignedDuration::from_hours).collect();
        assert!((quantile(&hours, 0.5) - 5.0).abs() < 1e-9);
        assert!((quantile(&hours, 0.9) - 9.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
