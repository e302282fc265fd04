//! Screens that are no monitors: an IP-KVM's, a capture chip's, a driver's.
//!
//! - **Physical cause**: to carry a laptop's picture away, something must pretend to be its screen; unless it
//!   is told otherwise it says who it is. Shared with USB and pointing: cause `kvm`.
//! - **Cap**: of 7,139 EDIDs read from real screens (linuxhw/EDID; one more is an IP-KVM's) none has such an identity,
//!   preset or template: at most 3 in 7,139, so ln(7139 / 3) = 7.7. The template stays below: those screens were
//!   looked at when it was made. Capture chips and virtual screens: assumption.
//! - **Innocent twins**: a homelab owner, somebody with two jobs, IT's own KVM (sanctioned by its serial's
//!   hash or the fact's key); a conference room's recorder; a dummy plug; a guest of a hypervisor.
//! - **Defeated by** a copy of any real monitor's EDID that is no known preset; a new name alone defeats only
//!   `display.known_kvm`, since the template stays.

use super::{Evidence, finding, has_trait, is_guest, is_sanctioned};
use crate::facts::{Display, EdidFacts};
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &[
    "display.known_kvm",
    "display.kvm_preset",
    "display.kvm_template",
    "display.capture",
    "display.virtual",
];

/// What the screens say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let displays: Vec<(&FactKey, Display)> = evidence.state.all::<Display>().collect();
    let lit = displays.iter().filter(|(_, display)| display.active).count();
    let external = displays.iter().filter(|(_, display)| !display.built_in);
    external
        .filter_map(|(key, display)| Some((*key, display.edid.as_ref()?, display.active)))
        .filter(|(key, edid, _)| !is_sanctioned(evidence.context, key, edid.serial.as_ref()))
        .flat_map(|(key, edid, active)| {
            let screen = Screen::new(key, edid, weights);
            let only_screen = (lit == 0 || (lit == 1 && active)) && !is_guest(evidence.state);
            let known = screen.known();
            let other = if known.is_none() && only_screen { screen.no_monitor() } else { None };
            [known, screen.template(), other]
        })
        .flatten()
        .collect()
}

struct Screen<'a> {
    key: &'a FactKey,
    edid: &'a EdidFacts,
    says: String,
    weights: &'a Weights,
}

impl<'a> Screen<'a> {
    fn new(key: &'a FactKey, edid: &'a EdidFacts, weights: &'a Weights) -> Self {
        let name = edid.model.as_deref().unwrap_or("without a name");
        let says = format!("{} {:04x} \"{name}\"", edid.manufacturer, edid.product);
        Self { key, edid, says, weights }
    }

    fn found(&self, id: &str, why: String) -> Finding {
        Finding {
            technique: Some("T1219.003".into()),
            facts: vec![self.key.clone()],
            ..finding(self.weights, id, Group::Display, "kvm", why)
        }
    }

    /// It says who it is, or is a disguise that an IP-KVM ships.
    fn known(&self) -> Option<Finding> {
        let says = &self.says;
        let (id, why) = if let Some(kvm) = super::known_kvm(&self.edid.traits) {
            let why =
                format!("the screen says {says}: {kvm}, which carries the picture to somebody far away");
            ("display.known_kvm", why)
        } else if has_trait(&self.edid.traits, "kvm_preset") {
            let why = format!("the screen says {says}, byte for byte a disguise that an IP-KVM ships");
            ("display.kvm_preset", why)
        } else {
            return None;
        };
        Some(Finding { policy: true, ..self.found(id, why) })
    }

    /// Whatever its name, the rest is an IP-KVM's.
    fn template(&self) -> Option<Finding> {
        let kvm = self.edid.traits.iter().find_map(|held| held.strip_prefix("kvm_template:"))?;
        let why = format!(
            "the screen says {}; its timings, colours or extension are, to the bit, what {kvm} ships and no monitor has",
            self.says
        );
        Some(self.found("display.kvm_template", why))
    }

    /// A capture chip, a driver or a plug, as the only screen.
    fn no_monitor(&self) -> Option<Finding> {
        let says = &self.says;
        if has_trait(&self.edid.traits, "capture_chip") {
            let why = format!("the only screen says {says}, a video capture chip's own name");
            return Some(self.found("display.capture", why));
        }
        has_trait(&self.edid.traits, "virtual_display").then(|| {
            let why = format!("the only screen says {says}, which is no monitor but a driver or a plug");
            self.found("display.virtual", why)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    fn screen(traits: &[&str]) -> Display {
        let traits = traits.iter().map(|t| (*t).to_owned()).collect();
        let edid = EdidFacts { manufacturer: "XXX".into(), traits, ..EdidFacts::default() };
        Display { connector: "HDMI".into(), active: true, edid: Some(edid), ..Display::default() }
    }

    #[test]
    fn a_pikvm_as_a_screen_is_forbidden_as_such() {
        let mut case = Case::default();
        case.state.put("HDMI-A-1", &screen(&["known_kvm:PiKVM"]));
        let found = rule(&case.evidence(), &Weights::shipped());
        assert_eq!(found.len(), 1);
        assert!(found[0].policy && found[0].llr > 7.0 && found[0].why.contains("PiKVM"), "{found:?}");
    }

    #[test]
    fn its_own_kvm_is_no_news_to_it() {
        let mut case = Case::default();
        case.state.put("HDMI-A-1", &screen(&["known_kvm:PiKVM"]));
        case.context.sanctioned_things.push("display/HDMI-A-1".into());
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }

    #[test]
    fn a_pikvm_under_a_monitors_name_keeps_its_template() {
        let mut case = Case::default();
        case.state.put("HDMI-A-1", &screen(&["kvm_template:PiKVM"]));
        case.state.put("DP-1", &screen(&[]));
        let found = rule(&case.evidence(), &Weights::shipped());
        assert_eq!(found[0].rule, "display.kvm_template");
        assert!(!found[0].policy && found[0].why.contains("PiKVM"), "{found:?}");
    }

    #[test]
    fn a_recorder_beside_a_monitor_is_innocent_and_alone_it_is_not() {
        let mut case = Case::default();
        case.state.put("HDMI-A-1", &screen(&["capture_chip"]));
        assert_eq!(rule(&case.evidence(), &Weights::shipped())[0].rule, "display.capture");
        case.state.put("DP-1", &screen(&[]));
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }

    #[test]
    fn a_virtual_machine_has_a_virtual_screen() {
        let mut case = Case::default();
        case.state.put("Virtual-1", &screen(&["virtual_display"]));
        assert_eq!(rule(&case.evidence(), &Weights::shipped())[0].rule, "display.virtual");
        let host = crate::facts::Host { hypervisor: Some("kvm".into()), ..Default::default() };
        case.state.put("self", &host);
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }

    #[test]
    fn a_monitor_with_a_bad_checksum_is_innocent() {
        let mut case = Case::default();
        case.state.put("HDMI-A-1", &screen(&["bad_checksum", "no_serial", "impossible_date"]));
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }
}
