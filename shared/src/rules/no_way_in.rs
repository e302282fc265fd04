//! In use, and nobody far away has a way in that could be seen.
//!
//! - **Physical cause**: a farm's laptop is worked on from elsewhere, and something carries that: a program, a box, input
//!   that software makes. Cause `way`.
//! - **Speaks against** a farm: a laptop in use that shows none. It is what makes thirty colleagues behind one router an
//!   office before anything else is known of them.
//! - **Cap**: assumption: one farm laptop in six hides its way in well enough.
//! - **Innocent twins**: none; it only speaks against.
//! - **Silent** where input, programs or devices cannot be seen, and where software made some of the input, above all while
//!   meeting software runs.
//! - **Defeated by** an IP-KVM with a real mouse's and a real monitor's identity, and a program that no catalogue knows.

use super::{Evidence, finding};
use crate::facts::{RemoteTool, SensorState, SensorStatus, ToolClass};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["remote_control.no_way_in"];

/// Active time before it says anything.
const SECONDS: u32 = 3600;
/// Input that software makes of this share is a way in, or hides one.
const SOFTWARE_SHARE: f64 = 0.05;
/// While meeting software runs, in which others can be given control, less is enough; yet more than a password manager's
/// second now and then, because such software runs on most laptops all day.
const IN_A_MEETING_SHARE: f64 = 0.02;
/// Sensors that must see.
const EYES: [&str; 4] = ["activity", "remote_tool", "usb_device", "display"];
/// Groups in which a way in shows, where a finding weighs more than this.
const WAYS: [Group; 4] = [Group::RemoteControl, Group::Input, Group::Display, Group::UsbHid];
const WEIGHS: f64 = 0.5;

/// What is not there, of what all other rules `found`.
pub fn rule(evidence: &Evidence<'_>, found: &[Finding], weights: &Weights) -> Option<Finding> {
    let active = evidence.usage.sum(|day| day.active);
    let way = found.iter().any(|finding| WAYS.contains(&finding.group) && finding.llr > WEIGHS);
    if active < SECONDS || way {
        return None;
    }
    let software = evidence.usage.sum(|day| day.software.saturating_add(day.session));
    let blind = EYES.iter().any(|eye| {
        let status = evidence.state.get::<SensorStatus>(eye);
        status.is_some_and(|status| status.state != SensorState::Ok)
    });
    let meets = evidence.state.all::<RemoteTool>().any(|(_, tool)| {
        tool.class == ToolClass::Meeting && (tool.running() || tool.running_since.is_some())
    });
    let innocent_share = if meets { IN_A_MEETING_SHARE } else { SOFTWARE_SHARE };
    let by_software = f64::from(software) > innocent_share * f64::from(active);
    if by_software || blind {
        return None;
    }
    let why = format!(
        "in {} active hours there was no program, box or input by which somebody elsewhere could work on it",
        active / 3600
    );
    Some(finding(weights, "remote_control.no_way_in", Group::RemoteControl, "way", why))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, window};
    use super::*;
    use crate::facts::{Seen, SeenBy, Source, SourceKind};

    fn at_work() -> Case {
        let mut case = Case::default();
        case.windows.extend((0..30).map(|n| window(n, SourceKind::Usb, 200)));
        case
    }

    fn found(case: &Case) -> Vec<String> {
        let weights = Weights::shipped();
        super::super::findings(&case.evidence(), &weights).into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn a_laptop_in_use_without_a_way_in_speaks_against_a_farm() {
        assert_eq!(found(&at_work()), ["remote_control.no_way_in"]);
        assert!(Weights::shipped().rule["remote_control.no_way_in"].farm < 0.0);
        let mut idle = at_work();
        idle.windows.truncate(5);
        assert_eq!(found(&idle), [""; 0]);
    }

    #[test]
    fn a_program_that_lets_in_and_input_that_software_makes_are_ways() {
        let mut case = at_work();
        case.windows.iter_mut().for_each(|window| window.injected_seconds = 20);
        assert_eq!(found(&case), [""; 0]);
        let mut case = at_work();
        let tool = RemoteTool { class: ToolClass::RemoteDesktop, serving: true, ..RemoteTool::default() };
        case.state.put("x11vnc", &tool);
        assert!(!found(&case).contains(&"remote_control.no_way_in".to_owned()));
    }

    #[test]
    fn a_meetings_remote_control_may_be_a_way_and_a_password_manager_beside_a_meeting_is_none() {
        let seen = vec![Seen { by: SeenBy::Process, what: "zoom".into() }];
        let zoom = RemoteTool { class: ToolClass::Meeting, seen, ..RemoteTool::default() };
        for (seconds, meets, silent) in [(8, false, false), (8, true, true), (2, true, false)] {
            let mut case = at_work();
            if meets {
                case.state.put("zoom", &zoom);
            }
            case.windows.iter_mut().for_each(|window| window.injected_seconds = seconds);
            assert_eq!(found(&case).is_empty(), silent, "{seconds} s, {meets}");
        }
    }

    #[test]
    fn input_of_a_remote_session_is_a_way_on_windows_too() {
        let mut case = at_work();
        for window in &mut case.windows {
            let by = Source { keys: 10, pointer: 10, active_seconds: 20 };
            window.sources.insert(SourceKind::RemoteSession, by);
        }
        assert_eq!(found(&case), [""; 0]);
    }

    #[test]
    fn where_eyes_are_shut_nothing_is_said() {
        let mut case = at_work();
        case.state.put("usb_device", &SensorStatus::new(SensorState::Blind, "no sysfs"));
        assert!(!found(&case).contains(&"remote_control.no_way_in".to_owned()));
    }
}
