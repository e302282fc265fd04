//! For tests about all rules: laptops that show, between them, every finding that the rules can make.

use jiff::SignedDuration;

pub use super::testing::Case;
use super::testing::window;
use crate::facts::{
    Bus, Display, EdidFacts, HidCaps, HidDevice, Locale, Power, RemoteTool, Seen, SeenBy, SensorState,
    SensorStatus, SourceKind, ToolClass, Transition, TransitionKind, UsbDevice, UsbInterface, Window,
};

/// Laptops with all that rules look for.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![tools(), two_tools(), usb(), bluetooth(), arrived(), elsewhere()];
    cases.extend(screens());
    cases.extend(use_());
    cases
}

fn tool(class: ToolClass, by: SeenBy) -> RemoteTool {
    RemoteTool { class, seen: vec![Seen { by, what: "x".into() }], ..RemoteTool::default() }
}

fn tools() -> Case {
    let mut case = Case::default();
    let process = |class| tool(class, SeenBy::Process);
    let serving = |tool: RemoteTool| RemoteTool { serving: true, ..tool };
    let sshd = RemoteTool { session_open: Some(true), ..tool(ToolClass::BuiltIn, SeenBy::BuiltIn) };
    for (id, fact) in [
        ("vnc", serving(process(ToolClass::RemoteDesktop))),
        ("anydesk", process(ToolClass::RemoteDesktop)),
        ("left-over", tool(ToolClass::Rmm, SeenBy::Package)),
        ("likeness", tool(ToolClass::Rmm, SeenBy::Hint)),
        ("port", tool(ToolClass::Rmm, SeenBy::OnlyPort)),
        ("rdp", serving(tool(ToolClass::BuiltIn, SeenBy::BuiltIn))),
        ("openssh-server", sshd),
        ("editor", process(ToolClass::IdeTunnel)),
        ("tunnel", process(ToolClass::ReverseTunnel)),
        ("mesh", process(ToolClass::Overlay)),
        ("astrill", process(ToolClass::PersonalVpn)),
        ("vpn", process(ToolClass::PersonalVpn)),
        ("caffeine", process(ToolClass::Jiggler)),
    ] {
        case.state.put(id, &fact);
    }
    case
}

fn two_tools() -> Case {
    let mut case = Case::default();
    for id in ["rustdesk", "anydesk"] {
        case.state.put(id, &tool(ToolClass::RemoteDesktop, SeenBy::Process));
    }
    let used = tool(ToolClass::BuiltIn, SeenBy::Internet);
    case.state.put("openssh-server", &RemoteTool { session_open: Some(true), ..used });
    case
}

fn usb() -> Case {
    let mut case = Case::default();
    let traits = [
        "known_kvm:PiKVM",
        "console:iDRAC",
        "disguised",
        "linux_hid",
        "gadget_kvm",
        "absolute_kvm",
        "kvm_firmware",
        "version_misfit",
        "gadget_ids",
        "gadget_pointer",
        "gadget_keyboard",
        "jiggler",
    ];
    for (n, name) in traits.iter().enumerate() {
        let caps = HidCaps { keyboard: true, ..HidCaps::default() };
        let interfaces = vec![UsbInterface { class: 3, hid: Some(caps), ..UsbInterface::default() }];
        let device = UsbDevice { interfaces, traits: vec![(*name).to_owned()], ..UsbDevice::default() };
        case.state.put(&format!("1-{n}"), &device);
    }
    case
}

fn bluetooth() -> Case {
    let mut case = Case::default();
    let traits = [
        "known_kvm:PiKVM",
        "absolute_kvm",
        "kvm_firmware",
        "gadget_pointer",
        "remote_input:rustdesk",
        "jiggler",
        "kit",
    ];
    for name in traits {
        let caps = HidCaps { relative: true, ..HidCaps::default() };
        let traits = vec![name.to_owned()];
        case.state.put(name, &HidDevice { bus: Bus::Bluetooth, caps, traits, ..HidDevice::default() });
    }
    case
}

/// A screen and a keyboard with a pointer, plugged in together the day before yesterday.
fn arrived() -> Case {
    let mut case = Case::default();
    let since = Some(case.evidence().now - SignedDuration::from_hours(48));
    let caps = HidCaps { keyboard: true, relative: true, ..HidCaps::default() };
    let interfaces = vec![UsbInterface { class: 3, hid: Some(caps), ..UsbInterface::default() }];
    case.state.put("1-4", &UsbDevice { interfaces, since, ..UsbDevice::default() });
    case.state.put("HDMI-A-1", &Display { since, ..screen(&[]) });
    case
}

fn screen(traits: &[&str]) -> Display {
    let traits = traits.iter().map(|name| (*name).to_owned()).collect();
    let edid = EdidFacts { traits, ..EdidFacts::default() };
    Display { connector: "HDMI".into(), active: true, edid: Some(edid), ..Display::default() }
}

fn screens() -> Vec<Case> {
    let of = |name: &str, shut: bool, hours: i64| {
        let mut case = Case::default();
        let since = Some(case.evidence().now - SignedDuration::from_hours(hours));
        case.state.put("HDMI-A-1", &Display { since, ..screen(&[name]) });
        case.state.put("self", &Power { lid_closed: Some(shut), ..Power::default() });
        case
    };
    let alone = ["known_kvm:PiKVM", "kvm_preset", "kvm_template:PiKVM", "model_misfit", "overridden"];
    let mut cases: Vec<Case> = alone.iter().map(|name| of(name, false, 50)).collect();
    cases.extend(
        ["capture_chip", "virtual_display"]
            .iter()
            .flat_map(|name| [of(name, false, 50), of(name, true, 50), of(name, false, 1)]),
    );
    cases
}

/// Where it is and what is done to the agent.
fn elsewhere() -> Case {
    let mut case = Case::default();
    case.state.put("self", &Locale { time_zone: Some("Asia/Shanghai".into()), ..Locale::default() });
    case.state.put("display", &SensorStatus::new(SensorState::Blind, "no EDID"));
    case.context.country = Some("US".into());
    case.context.expected_country = Some("GB".into());
    case.context.hosting_network = true;
    case.context.strange_hardware = 9;
    case.context.unusually_blind = vec!["display".into()];
    case.context.silent_seconds = 48 * 3600;
    case
}

/// Windows of twelve days, `hours` of each.
fn days(kind: SourceKind, hours: i64, change: impl Fn(&mut Window)) -> Case {
    let mut case = Case::default();
    for n in (0..12).flat_map(|day| (0..12 * hours).map(move |n| day * 288 + n)) {
        let mut window = window(n, kind, 200);
        change(&mut window);
        case.windows.push(window);
    }
    case
}

fn use_() -> Vec<Case> {
    let mut carried = days(SourceKind::Usb, 1, |_| ());
    for window in carried.windows.iter().step_by(12) {
        let moved = |kind| Transition { at: window.start, kind };
        carried.transitions.extend([TransitionKind::Resumed, TransitionKind::NetworkChanged].map(moved));
    }
    vec![
        carried,
        days(SourceKind::BuiltIn, 2, |_| ()),
        days(SourceKind::Usb, 2, |window| window.pointer_centinats = Some(-50)),
        days(SourceKind::Usb, 16, |window| window.pointer_centinats = Some(50)),
        days(SourceKind::RemoteSession, 2, |_| ()),
        days(SourceKind::Usb, 2, |window| window.absolute_permille = 990),
        days(SourceKind::Usb, 2, |window| {
            window.periodic_permille = 990;
            window.sources.values_mut().for_each(|source| source.keys = 0);
        }),
    ]
}
