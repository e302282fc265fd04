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

/// A finding as a sentence with its ATT&CK technique. It begins with a capital letter, save where it begins with the name
/// of a tool that writes itself small.
pub fn finding(finding: &Finding, tool: Option<&RemoteTool>) -> String {
    let text = finding.why.trim().trim_end_matches('.');
    let begins_with_name = tool.is_some_and(|tool| !tool.name.is_empty() && text.starts_with(&tool.name));
    let text = if begins_with_name { text.to_owned() } else { capital(text) };
    match &finding.technique {
        Some(technique) => format!("{text} (ATT&CK {technique})."),
        None => format!("{text}."),
    }
}

/// A text with its first letter a capital.
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    first + characters.as_str()
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

/// What was found in its first words: what stands in brackets is for who looks closer.
pub fn short(why: &str) -> &str {
    let end = [" (", "; "].into_iter().filter_map(|sign| why.find(sign)).min();
    why[..end.unwrap_or(why.len())].trim_end_matches('.')
}

/// What to do about an alert whose P has fallen below the threshold.
pub const BELOW: &str =
    "nothing more; resolve this alert unless you know better. It is opened again by what is new";

/// What adds less reads as nothing.
const SHOWN: f64 = 0.05;

/// Bars as a list: strongest first, each with what it adds. What is said of a place reads without its name.
pub fn list<'a>(bars: impl Iterator<Item = &'a Bar>) -> String {
    let mut bars: Vec<&Bar> = bars.filter(|bar| bar.llr.abs() >= SHOWN).collect();
    bars.sort_by(|a, b| b.llr.abs().total_cmp(&a.llr.abs()));
    let line = |bar: &&Bar| {
        let label = if bar.rule.starts_with("place.") { String::new() } else { format!("{}: ", bar.label) };
        format!("- {label}{} ({:+.1})", bar.why.trim_end_matches('.'), bar.llr)
    };
    bars.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::finding::Group;
    use farmwatch_shared::rules;
    use farmwatch_shared::weights::Weights;

    use super::*;

    #[test]
    fn a_summary_begins_with_a_capital_letter_and_a_tools_name_stays_as_it_is() {
        let found =
            |why: &str| rules::finding(&Weights::shipped(), "usb.known_kvm", Group::UsbHid, "kvm", why);
        let tool = RemoteTool { name: "x11vnc".into(), ..RemoteTool::default() };
        assert_eq!(finding(&found("a USB device says \"PiKVM\""), None), "A USB device says \"PiKVM\".");
        assert_eq!(finding(&found("x11vnc is running"), Some(&tool)), "x11vnc is running.");
        assert_eq!(finding(&found("2 unrelated tools run"), Some(&tool)), "2 unrelated tools run.");
        assert_eq!(capital(""), "");
        assert_eq!(short("AnyDesk runs (seen as process `anydesk`); about 2 % have it"), "AnyDesk runs");
        assert_eq!(short("nothing more."), "nothing more");
    }
}
