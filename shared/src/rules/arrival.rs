//! A screen and a keyboard with a pointer that came together.
//!
//! - **Physical cause**: an IP-KVM hangs on two cables, one for the picture and one for keyboard and pointer. Whoever sets
//!   it up plugs in both, and when it restarts both go and come. Shared with screens and USB: cause `kvm`.
//! - **Measure**: one screen, and one USB device that is keyboard and pointer at once, on a port of the laptop itself, came
//!   within [`TOGETHER`] of each other; nothing else came with them, and both have stayed for [`LASTING`].
//! - **Cap**: assumption; no data show what comes together on ordinary laptops.
//!   A drive or a network alone with a screen is not looked for: that is a stick in a meeting room.
//! - **Innocent twins**, and what tells them apart: a dock and a monitor with a hub bring more than one device, or hang it
//!   on a hub, or charge (mains come in the same seconds); a Thunderbolt dock is itself a device that came; a KVM *switch*
//!   brings keyboard and mouse apart, behind its hub; after a start, a sleep or an open lid everything comes at once;
//!   somebody who sits down with a receiver and a monitor's cable goes away again with the laptop, within a day. Who
//!   leaves it there for longer is the twin that remains: hence the low weight.
//! - **Only where** keys are port paths (Linux, macOS), because elsewhere a hub cannot be told from the laptop's own port, and
//!   where the system says at once what comes (Linux): no arrival is told elsewhere.
//! - **Defeated by** plugging in the two cables a minute apart, or both before the agent starts.

use jiff::{SignedDuration, Timestamp};

use super::{Evidence, finding, is_guest, is_sanctioned};
use crate::facts::{Display, TransitionKind, UsbDevice, Window};
use crate::finding::{Finding, Group};
use crate::state::FactKey;
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["display.with_keyboard"];

/// Two cables are plugged in within this; times are kept to ten seconds.
const TOGETHER: SignedDuration = SignedDuration::from_secs(20);
/// Longer than anybody who carries the laptop home stays at a desk.
const LASTING: SignedDuration = SignedDuration::from_hours(24);
/// Lids, starts and sleeps are told to five minutes only: what came within the five after counts as theirs.
const AWAKENING: SignedDuration = SignedDuration::from_secs(2 * Window::SECONDS);

/// What came together.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    if is_guest(evidence.state) {
        return Vec::new();
    }
    let screens = evidence.state.all::<Display>().filter(|(_, screen)| !screen.built_in);
    let came: Vec<(&FactKey, &Display, Timestamp)> =
        screens.filter_map(|(key, screen)| screen.since.map(|since| (key, screen, since))).collect();
    let [(screen_key, screen, at)] = came.as_slice() else { return Vec::new() };
    let with_it: Vec<(&FactKey, &UsbDevice)> = evidence
        .state
        .all::<UsbDevice>()
        .filter(|(_, device)| device.since.is_some_and(|since| apart(since, *at) <= TOGETHER))
        .collect();
    let [(key, device)] = with_it.as_slice() else { return Vec::new() };
    let lasts = evidence.now.duration_since(*at) >= LASTING;
    let serial = screen.edid.as_ref().and_then(|edid| edid.serial.as_ref());
    let sanctioned = is_sanctioned(evidence.context, key, device.serial.as_ref())
        || is_sanctioned(evidence.context, screen_key, serial);
    if !lasts
        || sanctioned
        || !is_at_the_laptop(key)
        || !types_and_points(device)
        || is_explained(evidence, *at)
    {
        return Vec::new();
    }
    let why = format!(
        "since {} a screen and a USB device that is keyboard and pointer in one are there: they came within seconds, alone, \
         and stayed, as an IP-KVM's two cables do",
        at.strftime("%Y-%m-%d %H:%M UTC")
    );
    let found = finding(weights, "display.with_keyboard", Group::Display, "kvm", why);
    let facts = vec![(*screen_key).clone(), (*key).clone()];
    vec![Finding { technique: Some("T1219.003".into()), facts, ..found }]
}

fn apart(a: Timestamp, b: Timestamp) -> SignedDuration {
    a.duration_since(b).abs()
}

/// `1-4` is a port of the laptop, `1-4.2` one of a hub that hangs there.
fn is_at_the_laptop(key: &FactKey) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    key.name().split_once('-').is_some_and(|(bus, port)| number(bus) && number(port))
}

fn types_and_points(device: &UsbDevice) -> bool {
    let caps = || device.interfaces.iter().filter_map(|interface| interface.hid);
    caps().any(|caps| caps.keyboard) && caps().any(|caps| caps.relative || caps.absolute)
}

/// The laptop woke, was opened or got power just then: a dock, or everything that was there before.
fn is_explained(evidence: &Evidence<'_>, at: Timestamp) -> bool {
    evidence.transitions.iter().any(|transition| match transition.kind {
        TransitionKind::MainsRegained => apart(transition.at, at) <= TOGETHER,
        TransitionKind::Booted | TransitionKind::Resumed | TransitionKind::LidOpened => {
            let after = at.duration_since(transition.at);
            after >= SignedDuration::from_secs(-30) && after <= AWAKENING
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use crate::facts::{HidCaps, Host, Transition, UsbInterface};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    fn hid(caps: HidCaps) -> UsbInterface {
        UsbInterface { class: 3, hid: Some(caps), ..UsbInterface::default() }
    }

    fn keyboard() -> UsbInterface {
        hid(HidCaps { keyboard: true, ..HidCaps::default() })
    }

    fn mouse() -> UsbInterface {
        hid(HidCaps { relative: true, ..HidCaps::default() })
    }

    fn device(since: Option<i64>, interfaces: Vec<UsbInterface>) -> UsbDevice {
        UsbDevice { since: since.map(at), interfaces, ..UsbDevice::default() }
    }

    fn screen(since: Option<i64>) -> Display {
        Display { connector: "HDMI".into(), active: true, since: since.map(at), ..Display::default() }
    }

    /// An IP-KVM under the name of a receiver and a real monitor: its two cables.
    fn two_cables() -> Case {
        let mut case = Case::default();
        case.state.put("HDMI-A-1", &screen(Some(10)));
        case.state.put("1-2", &device(Some(0), vec![keyboard(), mouse()]));
        case
    }

    /// What is found so many seconds after the first cable.
    fn found(case: &Case, seconds: i64) -> usize {
        let evidence = Evidence { now: at(seconds), ..case.evidence() };
        rule(&evidence, &Weights::shipped()).len()
    }

    const TWO_DAYS: i64 = 2 * 86_400;

    #[test]
    fn an_ip_kvms_two_cables_are_found_once_they_stay() {
        let case = two_cables();
        assert_eq!(found(&case, TWO_DAYS), 1);
        assert_eq!(found(&case, 3600), 0, "a presenter in a meeting room");
    }

    #[test]
    fn a_dock_brings_more_than_one_device() {
        let mut case = two_cables();
        let ethernet = UsbInterface { class: 2, ..UsbInterface::default() };
        case.state.put("2-1", &device(Some(10), vec![ethernet]));
        assert_eq!(found(&case, TWO_DAYS), 0);
    }

    #[test]
    fn a_thunderbolt_dock_is_itself_a_device_that_came() {
        let mut case = two_cables();
        case.state.put("thunderbolt-0-1", &device(Some(0), vec![]));
        assert_eq!(found(&case, TWO_DAYS), 0);
    }

    #[test]
    fn a_monitor_with_a_hub_has_the_keyboard_behind_it() {
        let mut case = two_cables();
        case.state.remove(&FactKey::of::<UsbDevice>("1-2"));
        case.state.put("1-2.1", &device(Some(0), vec![keyboard(), mouse()]));
        assert_eq!(found(&case, TWO_DAYS), 0);
    }

    #[test]
    fn a_monitor_that_charges_brings_mains_in_the_same_seconds() {
        let mut case = two_cables();
        case.transitions.push(Transition { at: at(3), kind: TransitionKind::MainsRegained });
        assert_eq!(found(&case, TWO_DAYS), 0);
        case.transitions[0].at = at(4 * 3600);
        assert_eq!(found(&case, TWO_DAYS), 1, "power that comes hours later explains nothing");
    }

    #[test]
    fn a_kvm_switch_brings_keyboard_and_mouse_apart() {
        let mut case = two_cables();
        case.state.put("1-2", &device(Some(0), vec![keyboard()]));
        case.state.put("1-3", &device(Some(0), vec![mouse()]));
        assert_eq!(found(&case, TWO_DAYS), 0);
    }

    #[test]
    fn everything_comes_at_once_after_a_start_a_sleep_and_an_open_lid() {
        for kind in [TransitionKind::Booted, TransitionKind::Resumed, TransitionKind::LidOpened] {
            let mut case = two_cables();
            case.transitions.push(Transition { at: at(-200), kind });
            assert_eq!(found(&case, TWO_DAYS), 0, "{kind:?}");
        }
    }

    #[test]
    fn what_was_there_when_the_agent_began_to_look_came_at_no_time() {
        let mut case = two_cables();
        case.state.put("HDMI-A-1", &screen(None));
        assert_eq!(found(&case, TWO_DAYS), 0);
    }

    #[test]
    fn a_receiver_an_hour_before_the_monitor_and_a_drive_with_a_projector_are_innocent() {
        let mut case = two_cables();
        case.state.put("HDMI-A-1", &screen(Some(3600)));
        assert_eq!(found(&case, TWO_DAYS), 0);
        let mut case = two_cables();
        case.state.put("1-2", &device(Some(0), vec![UsbInterface { class: 8, ..UsbInterface::default() }]));
        assert_eq!(found(&case, TWO_DAYS), 0);
    }

    #[test]
    fn its_own_kvm_is_no_news_to_it_and_a_guests_screen_is_the_hypervisors() {
        let mut case = two_cables();
        case.context.sanctioned_things.push("display/HDMI-A-1".into());
        assert_eq!(found(&case, TWO_DAYS), 0);
        let mut case = two_cables();
        case.state.put("self", &Host { hypervisor: Some("kvm".into()), ..Host::default() });
        assert_eq!(found(&case, TWO_DAYS), 0);
    }
}
