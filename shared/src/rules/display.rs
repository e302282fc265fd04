//! Screens that are no monitors: an IP-KVM's, a capture chip's, a driver's.
//!
//! - **Physical cause**: to carry a laptop's picture away, something must pretend to be its screen; unless it
//!   is told otherwise it says who it is. Shared with USB and pointing: cause `kvm`.
//! - **Cap**: of 7,139 EDIDs read from real screens (linuxhw/EDID; one more is an IP-KVM's) none has such an identity,
//!   preset or template: at most 3 in 7,139, so ln(7139 / 3) = 7.7. The template stays below: those screens were
//!   looked at when it was made. Contradictions: none of the makers held out has one either, but no farm's screens were
//!   counted, so the weight stays an assumption below. Capture chips and virtual screens: assumption.
//!   What somebody wrote into Windows' registry in place of a screen's own EDID is read by other programs; little, because
//!   makers' drivers do it as well.
//! - **Innocent twins**: a homelab owner, somebody with two jobs, IT's own KVM (sanctioned by its serial's
//!   hash or the fact's key); a conference room's recorder, which stays for hours and not days, beside an open lid; a dummy
//!   plug; a guest of a hypervisor; projectors and televisions, whose sizes and names mean little (no contradiction is
//!   looked for in theirs).
//! - **Defeated by** a copy of any real monitor's EDID that is no known preset; a new name alone defeats only
//!   `display.known_kvm`, since the template stays, and contradicts the size unless it is chosen well.

use jiff::{SignedDuration, Timestamp};

use super::{Evidence, finding, has_trait, is_guest, is_sanctioned};
use crate::facts::{Display, EdidFacts, Power};
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &[
    "display.known_kvm",
    "display.kvm_preset",
    "display.kvm_template",
    "display.contradiction",
    "display.capture",
    "display.capture_shut",
    "display.virtual",
    "display.virtual_shut",
    "display.passing",
    "display.overridden",
];

/// A capture chip or virtual screen that came less than this ago may be a meeting's or a stream's.
const PASSING: SignedDuration = SignedDuration::from_hours(4);

/// Where an EDID contradicts itself: trait, and in words.
const CONTRADICTIONS: [(&str, &str); 3] = [
    ("displayid_misfit", "names another product in its extension than in its first block"),
    ("model_misfit", "has another size or resolution than the model of this name"),
    ("impossible_density", "has pixels of a size that no monitor of this maker has"),
];

/// What the screens say.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let displays: Vec<(&FactKey, &Display)> = evidence.state.all::<Display>().collect();
    let lit = displays.iter().filter(|(_, display)| display.active).count();
    let external = displays.iter().filter(|(_, display)| !display.built_in);
    external
        .filter_map(|(key, display)| Some((*key, display, display.edid.as_ref()?)))
        .filter(|(key, _, edid)| !is_sanctioned(evidence.context, key, edid.serial.as_ref()))
        .flat_map(|(key, display, edid)| {
            let screen = Screen::new(key, edid, weights);
            let only_screen = (lit == 0 || (lit == 1 && display.active)) && !is_guest(evidence.state);
            let known = screen.known();
            let use_ = Use::of(evidence, display);
            let other = if known.is_none() && only_screen { screen.no_monitor(&use_) } else { None };
            [known, screen.template(), screen.contradiction(), other, screen.overridden()]
        })
        .flatten()
        .collect()
}

/// How a screen is used, beside what it says.
struct Use {
    since: Option<Timestamp>,
    /// It came within the last hours.
    passing: bool,
    /// The laptop's lid is closed, so that nobody sits before its own screen.
    shut: bool,
}

impl Use {
    fn of(evidence: &Evidence<'_>, display: &Display) -> Self {
        let power: Option<&Power> = evidence.state.get("self");
        let passing = display.since.is_some_and(|since| evidence.now.duration_since(since) < PASSING);
        let shut = power.is_some_and(|power| power.lid_closed == Some(true));
        Self { since: display.since, passing, shut }
    }

    /// `, since 2026-11-24 10:40 UTC, the lid closed`; empty where nothing is known.
    fn words(&self) -> String {
        let since = self.since.map(|at| at.strftime(", since %Y-%m-%d %H:%M UTC").to_string());
        since.unwrap_or_default() + if self.shut { ", the lid closed" } else { "" }
    }
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

    /// Only what people read was changed, and the rest says otherwise.
    fn contradiction(&self) -> Option<Finding> {
        let (_, what) = CONTRADICTIONS.iter().find(|(name, _)| has_trait(&self.edid.traits, name))?;
        let why = format!("the screen says {} and {what}: somebody edited what it says of itself", self.says);
        Some(self.found("display.contradiction", why))
    }

    /// Windows goes by something else than what the screen says, because somebody told it so.
    fn overridden(&self) -> Option<Finding> {
        has_trait(&self.edid.traits, "overridden").then(|| {
            let why = format!(
                "the screen says {}, and the registry has something else to be taken for it: a driver's work, or a disguise",
                self.says
            );
            self.found("display.overridden", why)
        })
    }

    /// A capture chip, a driver or a plug, as the only screen.
    fn no_monitor(&self, use_: &Use) -> Option<Finding> {
        let (says, how) = (&self.says, use_.words());
        let (id, shut, what) = if has_trait(&self.edid.traits, "capture_chip") {
            ("display.capture", "display.capture_shut", "a video capture chip's own name")
        } else if has_trait(&self.edid.traits, "virtual_display") {
            ("display.virtual", "display.virtual_shut", "which is no monitor but a driver or a plug")
        } else {
            return None;
        };
        let id = match use_ {
            Use { passing: true, .. } => "display.passing",
            Use { shut: true, .. } => shut,
            _ => id,
        };
        Some(self.found(id, format!("the only screen says {says}, {what}{how}")))
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
    fn a_recorder_of_this_meeting_weighs_less_and_one_behind_a_closed_lid_for_days_more() {
        let mut case = Case::default();
        let (now, found) =
            (case.evidence().now, |case: &Case| rule(&case.evidence(), &Weights::shipped()).remove(0));
        let since = |hours: i64| Display {
            since: Some(now - SignedDuration::from_hours(hours)),
            ..screen(&["capture_chip"])
        };
        case.state.put("HDMI-A-1", &since(1));
        let passing = found(&case);
        case.state.put("HDMI-A-1", &since(50));
        let staying = found(&case);
        case.state.put("self", &Power { lid_closed: Some(true), ..Power::default() });
        let shut = found(&case);
        assert!(passing.llr < staying.llr && staying.llr < shut.llr, "{passing:?} {staying:?} {shut:?}");
        assert!(shut.why.contains("since 1969-12-29 22:00 UTC, the lid closed"), "{}", shut.why);
    }

    #[test]
    fn a_docked_laptop_with_its_lid_closed_before_a_monitor_is_innocent() {
        let mut case = Case::default();
        case.state.put("HDMI-A-1", &screen(&[]));
        case.state.put("self", &Power { lid_closed: Some(true), ..Power::default() });
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }

    #[test]
    fn an_edited_monitor_is_found_beside_another_too() {
        for (name, _) in CONTRADICTIONS {
            let mut case = Case::default();
            case.state.put("HDMI-A-1", &screen(&[name]));
            case.state.put("DP-1", &screen(&[]));
            let found = rule(&case.evidence(), &Weights::shipped());
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].rule, "display.contradiction");
            assert!(!found[0].policy);
        }
    }

    #[test]
    fn an_override_in_the_registry_is_hardly_a_sign_and_weighs_nothing_beside_what_it_hides() {
        let mut case = Case::default();
        case.state.put("HDMI-2", &screen(&["overridden"]));
        let found = rule(&case.evidence(), &Weights::shipped());
        assert_eq!(found[0].rule, "display.overridden");
        assert!(found[0].llr < 0.5 && !found[0].policy, "{found:?}");
        case.state.put("HDMI-2", &screen(&["overridden", "known_kvm:PiKVM"]));
        let judged = crate::judge::device(rule(&case.evidence(), &Weights::shipped()), &Weights::shipped());
        assert_eq!(judged.bars.iter().map(|bar| &*bar.rule).collect::<Vec<_>>(), ["display.known_kvm"]);
    }

    #[test]
    fn a_monitor_with_a_bad_checksum_is_innocent() {
        let mut case = Case::default();
        case.state.put("HDMI-A-1", &screen(&["bad_checksum", "no_serial", "impossible_date"]));
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }
}
