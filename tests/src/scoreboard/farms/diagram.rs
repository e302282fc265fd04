//! The reliability diagram: what was said against what was so, both on a logarithmic axis.

use std::fmt::Write as _;

use super::worth::Reliability;

const SIZE: f64 = 420.0;
const EDGE: f64 = 60.0;
/// Decades below 1 that are shown.
const DECADES: f64 = 6.0;

/// As SVG.
pub fn svg(reliability: &Reliability) -> String {
    let whole = SIZE + 2.0 * EDGE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"{whole}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    );
    let (zero, end) = (EDGE, EDGE + SIZE);
    let _ = write!(
        svg,
        "<path d=\"M{zero} {end}L{end} {zero}\" stroke=\"#999\" stroke-dasharray=\"4\"/>\
         <path d=\"M{zero} {zero}V{end}H{end}\" fill=\"none\" stroke=\"black\"/>"
    );
    for decade in [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0] {
        let share = 10f64.powf(-decade);
        let (at, name) = (place(share), if decade == 0.0 { "1".to_owned() } else { format!("1e-{decade}") });
        let (x, y) = (zero + at, end - at);
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{name}</text><text x=\"{:.1}\" y=\"{y:.1}\" \
             text-anchor=\"end\">{name}</text>",
            end + 18.0,
            zero - 8.0
        );
    }
    for bin in &reliability.bins {
        let x = zero + place(bin.said);
        let [y, low, high] = [bin.is, bin.interval.0, bin.interval.1].map(|share| end - place(share));
        let _ = write!(
            svg,
            "<path d=\"M{x:.1} {low:.1}V{high:.1}\" stroke=\"#346\"/><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" \
             fill=\"#346\"><title>{} in farms, {} others</title></circle>",
            bin.farms, bin.honest
        );
    }
    let middle = EDGE + SIZE / 2.0;
    let _ = write!(
        svg,
        "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">P(farm-operated) that was said</text>\
         <text x=\"18\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {middle})\">share that stands in \
         a farm, where 1 in 10,000 does</text></svg>",
        whole - 12.0
    );
    svg
}

/// How far along an axis a share lies.
fn place(share: f64) -> f64 {
    let decades = if share > 0.0 { share.log10() } else { -DECADES };
    (1.0 + decades.clamp(-DECADES, 0.0) / DECADES) * SIZE
}
