//! Sentences that alerts share.

use farmwatch_shared::facts::RemoteTool;
use farmwatch_shared::finding::Finding;
use farmwatch_shared::waterfall::Bar;

use crate::store::Device;

/// What people call a device: its host name, else its serial number, else its id.
pub fn name(device: &Device) -> String {
    let serial = device.serial.as_deref().unwrap_or_default();
    [device.hostname.as_str(), serial]
        .into_iter()
        .find(|s| !s.is_empty())
        .unwrap_or(device.id.as_str())
        .to_owned()
}

/// A tool's name, so that it can begin a title.
pub fn tool(tool: &RemoteTool) -> String {
    if tool.name.is_empty() { "A remote-access tool".to_owned() } else { tool.name.clone() }
}

/// A text as a sentence: ends in a full stop.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// A finding as a sentence with its ATT&CK technique.
pub fn finding(finding: &Finding) -> String {
    let text = finding.why.trim().trim_end_matches('.');
    match &finding.technique {
        Some(technique) => format!("{text} (ATT&CK {technique})."),
        None => format!("{text}."),
    }
}

/// A number of laptops.
pub fn laptops(count: usize) -> String {
    if count == 1 { "1 laptop".to_owned() } else { format!("{count} laptops") }
}

/// A probability as people read it: never 0 % or 100 %.
pub fn probability(p: f64) -> String {
    if p > 0.9995 {
        "more than 99.9 %".to_owned()
    } else if p < 0.0005 {
        "less than 0.1 %".to_owned()
    } else if !(0.05..=0.95).contains(&p) {
        format!("{:.1} %", p * 100.0)
    } else {
        format!("{:.0} %", p * 100.0)
    }
}

/// Bars as a list: strongest first, each with what it adds.
pub fn list<'a>(bars: impl Iterator<Item = &'a Bar>) -> String {
    let mut bars: Vec<&Bar> = bars.collect();
    bars.sort_by(|a, b| b.llr.abs().total_cmp(&a.llr.abs()));
    let line = |bar: &&Bar| format!("- {}: {} ({:+.1})", bar.label, bar.why.trim_end_matches('.'), bar.llr);
    bars.iter().map(line).collect::<Vec<_>>().join("\n")
}
