//! The pointer: is timing that came through a path told from a hand at its own desk, for people never seen in learning?
//!
//! The windows are histograms that `tests/learn/pointer.py` wrote, each judged by the fit that has not seen its person
//! or device.

use std::collections::BTreeMap;

use anyhow::Context as _;
use farmwatch_shared::pointer::{Coefficients, Features, Timing};

use super::data::lines;
use super::row::{Figure, Row};

/// What a single threshold finds: the share of intervals above 40 ms.
const BASELINE: &str = "one latency threshold";

/// One five-minute window.
struct Window {
    remote: bool,
    kind: String,
    /// Jitter of the simulated path in milliseconds, or `-`.
    jitter: String,
    unit: String,
    /// By the fit that has not seen the unit.
    logit: f64,
    features: Features,
}

/// RDP, injected input, IP-KVMs by jitter, against all local windows.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let windows = windows()?;
    let local: Vec<&Window> = windows.iter().filter(|w| !w.remote).collect();
    let real = |w: &&Window| matches!(w.kind.as_str(), "desk" | "kernel");
    let of = |kind: &str, jitter: &str| -> Vec<&Window> {
        windows.iter().filter(|w| w.remote && w.kind == kind && w.jitter == jitter).collect()
    };
    let mut rows = vec![
        auc("RDP against desks, AUC", &of("rdp", "-"), &local).at_least(0.99),
        false_alarms(
            "people at their desks and kernel recordings, taken for remote",
            local.iter().filter(|w| real(w)),
        )
        .at_most(0.0),
        false_alarms(
            "the same people on other simulated devices, taken for remote",
            local.iter().filter(|w| !real(w)),
        )
        .notes(["bluetooth", "usb", "ps2", "touchpad"].map(|kind| {
            let of_kind = local.iter().filter(|w| w.kind == kind);
            let wrong = of_kind.clone().filter(|w| w.logit > 0.0).count();
            format!("{kind}: {wrong} of {}", of_kind.count())
        })),
    ];
    for jitter in ["1", "5", "15"] {
        let label = format!("gathered ten times a second, {jitter} ms of jitter, AUC");
        rows.push(auc(&label, &of("gathered", jitter), &local).at_least(0.99));
    }
    for (kind, name) in [("injected", "injected through a path"), ("kvm", "IP-KVM polled each ms")] {
        for jitter in ["1", "2", "5", "10", "15", "25", "40"] {
            let row = auc(&format!("{name}, {jitter} ms of jitter, AUC"), &of(kind, jitter), &local);
            rows.push(match (kind, jitter) {
                // A millisecond of jitter is a path within one house: hardly more than a device's own.
                ("injected", "1") | ("kvm", _) => row.at_least(0.95),
                _ => row.at_least(0.99),
            });
        }
    }
    rows.push(
        auc("IP-KVM polled each 8 ms, 15 ms of jitter, AUC", &of("kvm_8ms", "15"), &local)
            .notes(["fed faster than it is polled, such a gadget has a clock of its own: no claim".into()]),
    );
    Ok(rows)
}

fn false_alarms<'a>(label: &str, windows: impl Iterator<Item = &'a &'a Window> + Clone) -> Row {
    Row::share(label, windows.clone().filter(|w| w.logit > 0.0).count(), windows.count())
}

/// The area under the curve, with Hanley and McNeil's interval for as many people as there are, not windows: those of
/// one person are not independent.
fn auc(label: &str, remote: &[&Window], local: &[&Window]) -> Row {
    let by = |score: fn(&Window) -> f64| {
        let scores = |windows: &[&Window]| windows.iter().map(|w| score(w)).collect::<Vec<f64>>();
        let value = area(&scores(remote), &scores(local));
        let (a, b) = (units(remote), units(local));
        Figure::Number { value, interval: hanley_mcneil(value, a as f64, b as f64) }
    };
    let Figure::Number { value, interval } = by(|w| w.logit) else { unreachable!("a number was made") };
    Row::number(label, value, interval).beside(BASELINE, by(|w| w.features.slow)).notes([format!(
        "{} people, {} windows against {} people and devices",
        units(remote),
        remote.len(),
        units(local)
    )])
}

fn units(windows: &[&Window]) -> usize {
    windows.iter().map(|w| &w.unit).collect::<std::collections::BTreeSet<_>>().len()
}

/// P(a remote window scores higher than a local one), ties counting half.
fn area(remote: &[f64], local: &[f64]) -> f64 {
    let wins = |r: &f64| {
        local
            .iter()
            .map(|l| {
                if r > l {
                    1.0
                } else if r < l {
                    0.0
                } else {
                    0.5
                }
            })
            .sum::<f64>()
    };
    remote.iter().map(wins).sum::<f64>() / (remote.len() * local.len()) as f64
}

/// Hanley and McNeil, Radiology 143 (1982): 95 % interval of an area from so many positives and negatives.
fn hanley_mcneil(area: f64, positives: f64, negatives: f64) -> (f64, f64) {
    // An area of one has no variance by the formula; what half a misplaced pair would give is honest.
    let a = area.min(1.0 - 0.5 / (positives * negatives));
    let (q1, q2) = (a / (2.0 - a), 2.0 * a * a / (1.0 + a));
    let variance = (a * (1.0 - a) + (positives - 1.0) * (q1 - a * a) + (negatives - 1.0) * (q2 - a * a))
        / (positives * negatives);
    let half = 1.96 * variance.max(0.0).sqrt();
    ((area - half).max(0.0), (area + half).min(1.0))
}

fn windows() -> anyhow::Result<Vec<Window>> {
    let fits = held_out()?;
    let read = |line: &String| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [truth, kind, jitter, unit, intervals, steps] = parts[..] else {
            anyhow::bail!("{line:?} has not six columns")
        };
        let timing = Timing { intervals: histogram(intervals)?, steps: histogram(steps)? };
        let features = timing.features().context("a window without movement")?;
        let fit = fits.get(unit).with_context(|| format!("no fit without {unit}"))?;
        Ok(Window {
            remote: truth == "remote",
            kind: kind.to_owned(),
            jitter: jitter.to_owned(),
            unit: unit.to_owned(),
            logit: fit.logit(&features),
            features,
        })
    };
    lines("pointer_windows.tsv.zst")?.iter().map(read).collect()
}

/// By person or device: the fit that has not seen it.
fn held_out() -> anyhow::Result<BTreeMap<String, Coefficients>> {
    let read = |line: &String| {
        let (unit, numbers) = line.split_once('\t').context("a line without a tab")?;
        let numbers: Vec<f64> = numbers.split('\t').map(str::parse).collect::<Result<_, _>>()?;
        let [intercept, slow, steady, restless] = numbers[..] else {
            anyhow::bail!("{line:?} has not five columns")
        };
        Ok((unit.to_owned(), Coefficients { intercept, slow, steady, restless }))
    };
    lines("pointer_held_out.tsv")?.iter().map(read).collect()
}

fn histogram(text: &str) -> anyhow::Result<BTreeMap<i64, usize>> {
    let pair = |pair: &str| {
        let (value, count) = pair.split_once(':').context("no colon")?;
        Ok((value.parse()?, count.parse()?))
    };
    text.split(' ').map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_and_intervals_are_those_of_the_paper() {
        assert!((area(&[1.0, 2.0], &[0.0, 1.0]) - 0.875).abs() < 1e-12);
        // Hanley and McNeil's example: 0.893 of 58 and 51 gives a standard error of 0.032.
        let (low, high) = hanley_mcneil(0.893, 51.0, 58.0);
        assert!(((high - low) / 2.0 / 1.96 - 0.032).abs() < 1e-3, "{low} {high}");
        assert!(hanley_mcneil(1.0, 3.0, 7.0).0 < 1.0, "three people prove no certainty");
    }
}
