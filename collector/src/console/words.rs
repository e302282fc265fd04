//! Small pieces that many pages say alike.

use farmwatch_shared::facts::SensorState;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::quarantine::Stage;
use crate::store::{Alert, AlertKind, AlertState, Device, Disposition, Severity, Standing};

/// A moment: exact, and how long ago. The script shows it in the viewer's own time zone.
pub fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at.to_string()) title=(at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()) {
            (at.strftime("%Y-%m-%d %H:%M").to_string()) " UTC"
        }
        " " span.ago { "(" (ago(at, now)) ")" }
    }
}

/// How long ago, in a few words.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - at.as_second();
    let (ahead, seconds) = (seconds < 0, seconds.abs());
    let span = match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    };
    if ahead { format!("in {span}") } else { format!("{span} ago") }
}

/// A severity: a shape and a word, never colour alone.
pub fn severity(severity: Severity) -> Markup {
    let (class, shape, word) = match severity {
        Severity::Critical => ("critical", "◆", "Critical"),
        Severity::High => ("high", "▲", "High"),
        Severity::Medium => ("medium", "●", "Medium"),
        Severity::Low => ("low", "○", "Low"),
    };
    html! { span class={ "severity " (class) } { span aria-hidden="true" { (shape) " " } (word) } }
}

/// An alert's kind.
pub fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Policy => "Policy",
        AlertKind::Device => "Device",
        AlertKind::Site => "Site",
    }
}

/// An alert's state.
pub fn state(alert: &Alert) -> Markup {
    let (class, word) = match alert.state {
        AlertState::New => ("new", "New"),
        AlertState::InProgress => ("progress", "In progress"),
        AlertState::Resolved => ("resolved", "Resolved"),
    };
    html! {
        span class={ "badge " (class) } { (word) }
        @if let Some(how) = alert.disposition { " " span.dim { (disposition(how)) } }
    }
}

/// A disposition as people say it.
pub fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Confirmed => "remotely operated, confirmed",
        Disposition::PolicyBreach => "against policy, not malicious",
        Disposition::Authorised => "authorised use",
        Disposition::FalsePositive => "false positive",
        Disposition::NotEnoughData => "not enough data",
        Disposition::Test => "test or drill",
        Disposition::Duplicate => "duplicate",
    }
}

/// Dispositions in the order of a list, with the word that forms carry.
pub const DISPOSITIONS: [(&str, Disposition); 7] = [
    ("confirmed", Disposition::Confirmed),
    ("policy_breach", Disposition::PolicyBreach),
    ("authorised", Disposition::Authorised),
    ("false_positive", Disposition::FalsePositive),
    ("not_enough_data", Disposition::NotEnoughData),
    ("test", Disposition::Test),
    ("duplicate", Disposition::Duplicate),
];

/// A device's isolation as it is believed; nothing where it is simply connected.
pub fn stage(stage: Stage) -> Markup {
    let class = match stage {
        Stage::Connected => return html! {},
        Stage::Isolated => "isolated",
        Stage::Failed => "failed",
        Stage::Isolating | Stage::Releasing => "pending",
    };
    html! { span class={ "badge " (class) } { (stage.label()) } }
}

/// A device's standing, where it is not the usual one.
pub fn standing(standing: Standing) -> Markup {
    match standing {
        Standing::Enrolled => html! {},
        Standing::Pending => html! { span.badge.pending { "to be checked" } },
        Standing::Revoked => html! { span.badge.failed { "revoked" } },
    }
}

/// A sensor's state: a shape and a word.
pub fn sensor(state: SensorState) -> Markup {
    let (class, shape, word) = match state {
        SensorState::Ok => ("ok", "✓", "sees"),
        SensorState::NotSupported => ("none", "–", "not supported here"),
        SensorState::NotPermitted => ("blocked", "✕", "not permitted"),
        SensorState::Blind => ("blind", "✕", "blind"),
        SensorState::OffByPolicy => ("none", "–", "off by policy"),
        SensorState::Other => ("none", "?", "unknown to this version"),
    };
    html! { span class={ "sensor " (class) } { span aria-hidden="true" { (shape) " " } (word) } }
}

/// What a device is called: its host name, or its id.
pub fn name(device: &Device) -> &str {
    if device.hostname.is_empty() { device.id.as_str() } else { &device.hostname }
}

/// A probability, without ever claiming certainty.
pub fn probability(p: f64) -> String {
    match p {
        p if p >= 0.9995 => "> 99.9 %".into(),
        p if p < 0.0005 => "< 0.1 %".into(),
        p => format!("{:.1} %", p * 100.0),
    }
}

/// A text as a value in a query: everything but letters, digits and `-._~` percent-encoded (RFC 3986).
pub fn query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_their_own_unit() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |s: i64| Timestamp::from_second(1_000_000 - s).unwrap();
        assert_eq!(ago(at(5), now), "5 s ago");
        assert_eq!(ago(at(3599), now), "59 min ago");
        assert_eq!(ago(at(7200), now), "2 h ago");
        assert_eq!(ago(at(-90), now), "in 1 min");
        assert_eq!(ago(at(864_000), now), "10 days ago");
    }

    #[test]
    fn no_page_claims_certainty() {
        assert_eq!(probability(1.0), "> 99.9 %");
        assert_eq!(probability(0.0), "< 0.1 %");
        assert_eq!(probability(0.5), "50.0 %");
    }

    #[test]
    fn queries_carry_any_text() {
        assert_eq!(query("/alerts?q=ä b"), "%2Falerts%3Fq%3D%C3%A4%20b");
    }
}
