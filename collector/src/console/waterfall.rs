//! The waterfall as SVG: each bar starts where the one before ended, so the eye can follow the sum.
//!
//! Beside it, the same numbers stand in a table: nobody has to read the picture.

use farmwatch_shared::waterfall::Bar;
use maud::{Markup, html};

use super::words;

/// How a picture is laid out, in its own units. The style sheet shows the one that fits the window.
struct Layout {
    class: &'static str,
    width: f64,
    /// Where bars may stand.
    plot: (f64, f64),
    /// Height of a row, and how far below the line of its label its bar begins.
    row: f64,
    drop: f64,
}

/// Label, bar and number beside each other.
const WIDE: Layout =
    Layout { class: "waterfall wide", width: 720.0, plot: (210.0, 630.0), row: 30.0, drop: 0.0 };
/// Label and number above the bar, for a telephone.
const NARROW: Layout =
    Layout { class: "waterfall narrow", width: 320.0, plot: (0.0, 320.0), row: 46.0, drop: 18.0 };

/// Where a bar is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    from: f64,
    to: f64,
}

/// Running sums, in nats.
fn spans(bars: &[Bar]) -> Vec<Span> {
    let mut sum = 0.0;
    bars.iter()
        .map(|bar| {
            let from = sum;
            sum += bar.llr;
            Span { from, to: sum }
        })
        .collect()
}

/// From nats to the picture's units.
fn scale(spans: &[Span], (left, right): (f64, f64)) -> impl Fn(f64) -> f64 {
    let ends = spans.iter().flat_map(|span| [span.from, span.to]).chain([0.0]);
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
    let room = (high - low).max(1.0);
    move |nats| left + 8.0 + (nats - low) / room * (right - left - 16.0)
}

/// The picture, with the sum's probability at its end. `name_of` names the laptop that a bar is about.
pub fn picture(bars: &[Bar], probability: Option<f64>, name_of: impl Fn(&Bar) -> Option<String>) -> Markup {
    html! { (drawn(bars, probability, &name_of, &WIDE)) (drawn(bars, probability, &name_of, &NARROW)) }
}

fn drawn(
    bars: &[Bar],
    probability: Option<f64>,
    name_of: impl Fn(&Bar) -> Option<String>,
    layout: &Layout,
) -> Markup {
    let &Layout { class, width, row, drop, .. } = layout;
    let spans = spans(bars);
    let x = scale(&spans, layout.plot);
    let height = row * (bars.len() as f64 + 1.0) + 8.0;
    let sum = spans.last().map_or(0.0, |span| span.to);
    let total = probability.map(total).unwrap_or_default();
    html! {
        svg class=(class) viewBox=(format!("0 0 {width} {height}")) role="img"
            aria-label="How the evidence adds up, in the order of the table below" {
            line.axis x1=(px(x(0.0))) x2=(px(x(0.0))) y1="0" y2=(px(height)) {}
            @for (index, (bar, span)) in bars.iter().zip(&spans).enumerate() {
                @let top = row * index as f64 + 6.0;
                @let bar_top = top + drop;
                @let (left, right) = (x(span.from.min(span.to)), x(span.from.max(span.to)));
                @let class = if bar.llr >= 0.0 { "for" } else { "against" };
                text.label x="0" y=(px(top + 15.0)) { (label(bar, name_of(bar))) }
                rect class=(class) x=(px(left)) y=(px(bar_top)) width=(px((right - left).max(2.0))) height="20" rx="2" {}
                line.step x1=(px(x(span.to))) x2=(px(x(span.to))) y1=(px(bar_top + 20.0)) y2=(px(bar_top + row)) {}
                text.value x=(px(width - 4.0)) y=(px(top + 15.0)) text-anchor="end" { (signed(bar.llr)) }
            }
            @let top = row * bars.len() as f64 + 6.0;
            text.label.total x="0" y=(px(top + 15.0)) { "Sum" }
            rect.sum x=(px(x(sum.min(0.0)))) y=(px(top + drop)) width=(px((x(sum) - x(0.0)).abs().max(2.0))) height="20" rx="2" {}
            text.value.total x=(px(width - 4.0)) y=(px(top + 15.0)) text-anchor="end" { (total) }
        }
    }
}

/// A number with its sign, one digit: `+4.5`.
pub fn signed(nats: f64) -> String {
    format!("{nats:+.1}").replace('-', "−")
}

/// `P = 97.0 %`, `P > 99.9 %`.
fn total(p: f64) -> String {
    let number = words::probability(p);
    if number.starts_with(['<', '>']) { format!("P {number}") } else { format!("P = {number}") }
}

/// What stands beside a bar, cut to what fits.
fn label(bar: &Bar, name: Option<String>) -> String {
    let text = name.map_or_else(|| bar.label.clone(), |name| format!("{} {name}", bar.label));
    if text.chars().count() <= 28 { text } else { text.chars().take(27).chain(['…']).collect() }
}

fn px(x: f64) -> String {
    format!("{x:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, llr: f64) -> Bar {
        Bar {
            label: label.into(),
            rule: String::new(),
            llr,
            honest_llr: None,
            why: String::new(),
            device: None,
            facts: Vec::new(),
        }
    }

    #[test]
    fn each_bar_starts_where_the_one_before_ended() {
        let spans = spans(&[bar("prior", -9.2), bar("tool", 4.5), bar("hands", 2.5)]);
        assert!((spans[1].from - spans[0].to).abs() < 1e-9);
        assert!((spans[2].to - (-2.2)).abs() < 1e-9);
    }

    #[test]
    fn everything_stays_inside_the_picture() {
        let bars = [bar("a", -20.0), bar("b", 300.0), bar("c", 0.0)];
        let spans = spans(&bars);
        for layout in [WIDE, NARROW] {
            let (x, plot) = (scale(&spans, layout.plot), layout.plot.0..=layout.plot.1);
            assert!(spans.iter().all(|span| plot.contains(&x(span.from)) && plot.contains(&x(span.to))));
            assert!(*plot.end() <= layout.width);
        }
    }

    #[test]
    fn the_sum_reads_as_people_write_it() {
        assert_eq!([0.97, 0.9999, 0.0].map(total), ["P = 97.0 %", "P > 99.9 %", "P < 0.1 %"]);
    }

    #[test]
    fn hostile_labels_are_escaped() {
        let svg = picture(&[bar("<script>alert(1)</script>", 1.0)], None, |_| Some("<script>".into()))
            .into_string();
        assert!(!svg.contains("<script>"));
    }
}
