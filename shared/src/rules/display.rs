//! Screens that are no monitors: an IP-KVM's, a capture chip's, a driver's.
//!
//! - **Physical cause**: to carry a laptop's picture away, something must pretend to be its screen; unless it
//!   is told otherwise it says who it is. Shared with USB and pointing: cause `kvm`.
//! - **Cap**: of 7,140 EDIDs read from real monitors (linuxhw/EDID) none but an IP-KVM's has such an identity:
//!   at most 3 in 7,140, so ln(7140 / 3) = 7.7. Capture chips and virtual screens: assumption.
//! - **Innocent twins**: a homelab owner, somebody with two jobs, IT's own KVM (sanctioned by its serial's
//!   hash or the fact's key); a conference room's recorder; a dummy plug; a guest of a hypervisor.
//! - **Defeated by** a copy of any real monitor's EDID that is no known preset.

use super::{Evidence, finding, has_trait, is_guest, is_sanctioned};
use crate::facts::{Display, EdidFacts};
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["display.known_kvm", "display.kvm_preset", "display.capture", "display.virtual"];

/// What the screens say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let displays: Vec<(&FactKey, Display)> = evidence.state.all::<Display>().collect();
    let lit = displays.iter().filter(|(_, display)| display.active).count();
    let external = displays.iter().filter(|(_, display)| !display.built_in);
    external
        .filter_map(|(key, display)| {
            let edid = display.edid.as_ref()?;
            let only_screen = lit == 0 || (lit == 1 && display.active);
            let sanctioned = is_sanctioned(evidence.context, key, edid.serial.as_ref());
            if sanctioned { None } else { judge(evidence, weights, key, edid, only_screen) }
        })
        .collect()
}

fn judge(
    evidence: &Evidence<'_>,
    weights: &Weights,
    key: &FactKey,
    edid: &EdidFacts,
    only_screen: bool,
) -> Option<Finding> {
    let name = edid.model.as_deref().unwrap_or("without a name");
    let says = format!("{} {:04x} \"{name}\"", edid.manufacturer, edid.product);
    let found = |id: &str, why: String, policy: bool| Finding {
        technique: Some("T1219.003".into()),
        facts: vec![key.clone()],
        policy,
        ..finding(weights, id, Group::Display, "kvm", why)
    };
    if let Some(kvm) = super::known_kvm(&edid.traits) {
        let why = format!("the screen says {says}: {kvm}, which carries the picture to somebody far away");
        return Some(found("display.known_kvm", why, true));
    }
    if has_trait(&edid.traits, "kvm_preset") {
        let why = format!("the screen says {says}, byte for byte a disguise that an IP-KVM ships");
        return Some(found("display.kvm_preset", why, true));
    }
    if !only_screen || is_guest(evidence.state) {
        return None;
    }
    if has_trait(&edid.traits, "capture_chip") {
        let why = format!("the only screen says {says}, a video capture chip's own name");
        return Some(found("display.capture", why, false));
    }
    has_trait(&edid.traits, "virtual_display").then(|| {
        let why = format!("the only screen says {says}, which is no monitor but a driver or a plug");
        found("display.virtual", why, false)
    })
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
