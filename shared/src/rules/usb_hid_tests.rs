use super::super::testing::{Case, key};
use super::*;
use crate::usb::{self, HidKind, RawInterface, RawUsb};

fn hid(kind: HidKind) -> RawInterface {
    RawInterface { class: 3, hid_kind: Some(kind), ..RawInterface::default() }
}

fn of_class(class: u8) -> RawInterface {
    RawInterface { class, ..RawInterface::default() }
}

fn keyboard_and_mouse() -> Vec<RawInterface> {
    vec![hid(HidKind::Keyboard), hid(HidKind::Mouse)]
}

fn judged(raw: &RawUsb) -> Vec<String> {
    let mut case = Case::default();
    case.state.put("1-4.2", &usb::facts(raw, &key()));
    rule(&case.evidence(), &Weights::shipped()).into_iter().map(|found| found.rule).collect()
}

fn device(vendor_id: u16, product_id: u16, speed_tenths: u32, interfaces: Vec<RawInterface>) -> RawUsb {
    RawUsb { vendor_id, product_id, speed_tenths, interfaces, ..RawUsb::default() }
}

#[test]
fn a_pikvm_with_its_defaults_is_forbidden_as_such_and_its_shape_speaks_too() {
    let mut raw = device(0x1d6b, 0x0104, 4800, keyboard_and_mouse());
    raw.manufacturer = Some("PiKVM".into());
    raw.interfaces.push(of_class(8));
    let mut case = Case::default();
    case.state.put("1-4.2", &usb::facts(&raw, &key()));
    let found = rule(&case.evidence(), &Weights::shipped());
    assert!(found[0].policy && found[0].rule == "usb.known_kvm", "{found:?}");
    assert!(!found[1].policy && found[1].rule == "usb.kvm_shape", "{found:?}");
}

#[test]
fn a_disguise_that_nobody_knows_is_found_by_its_shape() {
    let mut raw = device(0x04f2, 0x0400, 4800, keyboard_and_mouse());
    raw.manufacturer = Some("Chicony".into());
    raw.interfaces.push(of_class(8));
    assert_eq!(judged(&raw), ["usb.kvm_shape"]);
}

#[test]
fn a_pikvm_under_a_logitech_receivers_ids_is_forbidden_and_an_odd_receiver_is_only_odd() {
    let found = |raw: &RawUsb| {
        let mut case = Case::default();
        case.state.put("1-4", &usb::facts(raw, &key()));
        rule(&case.evidence(), &Weights::shipped())
    };
    let mut raw = device(0x046d, 0xc52b, 4800, keyboard_and_mouse());
    raw.product = Some("USB Receiver".into());
    raw.interfaces.push(of_class(8));
    let kvm = found(&raw);
    assert_eq!((&*kvm[0].rule, kvm[0].policy), ("usb.disguised_kvm", true), "{kvm:?}");
    let mut raw = device(0x046d, 0xc52b, 120, keyboard_and_mouse());
    raw.serial = Some("7f3a9c21".into());
    let odd = found(&raw);
    assert_eq!((&*odd[0].rule, odd[0].policy), ("usb.disguised_kvm", false), "{odd:?}");
    // A small chip at 12 Mb/s with an IP-KVM's firmware, as usb::traits names it.
    let mut case = Case::default();
    let traits = ["disguised", "kvm_firmware"].map(str::to_owned).into();
    case.state.put("1-4", &crate::facts::UsbDevice { traits, ..crate::facts::UsbDevice::default() });
    assert!(rule(&case.evidence(), &Weights::shipped())[0].policy);
}

#[test]
fn linux_behind_a_gaming_keyboards_ids_is_found_by_its_version_of_hid() {
    let mut raw = device(0x1532, 0x0228, 4800, keyboard_and_mouse());
    raw.interfaces[0].hid_version = Some(0x0101);
    assert_eq!(judged(&raw), ["usb.linux_hid"]);
    raw.interfaces[0].hid_version = Some(0x0111);
    assert_eq!(judged(&raw), [""; 0], "the gaming keyboard itself is innocent");
}

#[test]
fn a_fast_keyboard_of_a_maker_that_nobody_knows_is_innocent_where_it_says_that_it_is_not_linux() {
    let mut raw = device(0xfeed, 0x0001, 4800, keyboard_and_mouse());
    assert_eq!(judged(&raw), ["usb.fast_keyboard"]);
    raw.interfaces[0].hid_version = Some(0x0111);
    assert_eq!(judged(&raw), [""; 0]);
}

#[test]
fn a_laptops_own_keyboard_controller_with_hid_1_01_at_12_is_innocent() {
    // 1044:7a15 "MSP430-USB Mouse" of wacom-hid-descriptors.
    let mut raw = device(0x1044, 0x7a15, 120, keyboard_and_mouse());
    raw.interfaces.iter_mut().for_each(|interface| interface.hid_version = Some(0x0101));
    assert_eq!(judged(&raw), [""; 0]);
}

#[test]
fn a_dell_keyboard_with_a_drive_is_none() {
    let mut raw = device(0x413c, 0x2113, 15, vec![hid(HidKind::Keyboard), of_class(8)]);
    raw.manufacturer = Some("Dell".into());
    assert_eq!(judged(&raw), ["usb.disguised_kvm"]);
    raw.interfaces.pop();
    assert_eq!(judged(&raw), [""; 0], "without it it is");
}

#[test]
fn an_office_keyboard_that_points_or_is_faster_than_all_of_its_kind_is_none() {
    let keyboard = || vec![hid(HidKind::Keyboard), hid(HidKind::Device)];
    for (speed, interfaces, expected) in
        [(15, keyboard(), 0), (120, keyboard(), 1), (15, keyboard_and_mouse(), 1)]
    {
        let raw = device(0x046d, 0xc31c, speed, interfaces);
        assert_eq!(judged(&raw).len(), expected, "{raw:?}");
    }
    // Linux calls the only function of one HP keyboard a mouse: wacom-hid-descriptors.
    assert_eq!(judged(&device(0x03f0, 0x0024, 15, vec![hid(HidKind::Mouse)])), [""; 0]);
}

#[test]
fn a_receiver_that_never_had_a_serial_number_and_has_one_is_none() {
    let mut raw = device(0x046d, 0xc52b, 120, keyboard_and_mouse());
    raw.product = Some("USB Receiver".into());
    assert_eq!(judged(&raw), [""; 0]);
    raw.serial = Some("7f3a9c21".into());
    assert_eq!(judged(&raw), ["usb.disguised_kvm"]);
}

#[test]
fn a_servers_console_and_a_raritan_adapter_are_known() {
    assert_eq!(judged(&device(0x046b, 0xff10, 4800, keyboard_and_mouse()))[0], "usb.console");
    assert_eq!(judged(&device(0x14dd, 0x1007, 120, keyboard_and_mouse()))[0], "usb.console");
}

#[test]
fn a_jiggler_by_its_own_word_is_one_and_forbids_nothing() {
    let mut raw = device(0x1209, 0x0001, 15, vec![hid(HidKind::Mouse)]);
    raw.product = Some("USB Mouse Jiggler".into());
    assert_eq!(judged(&raw), ["usb.jiggler"]);
}

#[test]
fn docks_webcams_headsets_keys_and_presenters_are_innocent() {
    let twins = [
        ("Dell dock", device(0x413c, 0xb06e, 4800, vec![hid(HidKind::Device)])),
        ("Thunderbolt dock's sound and buttons", {
            device(0x17ef, 0x3083, 4800, vec![of_class(1), of_class(1), hid(HidKind::Device)])
        }),
        (
            "webcam with a button",
            device(0x046d, 0x085e, 4800, vec![of_class(14), of_class(1), hid(HidKind::Device)]),
        ),
        ("headset", device(0x0b0e, 0x0422, 120, vec![of_class(1), hid(HidKind::Device)])),
        (
            "YubiKey",
            device(0x1050, 0x0407, 120, vec![hid(HidKind::Keyboard), hid(HidKind::Device), of_class(11)]),
        ),
        ("presenter", device(0x046d, 0xc540, 120, keyboard_and_mouse())),
        ("gaming keyboard at 480", device(0x31e3, 0x1322, 4800, keyboard_and_mouse())),
        (
            "gaming mouse at 480",
            device(0x1532, 0x00b7, 4800, vec![hid(HidKind::Mouse), hid(HidKind::Keyboard)]),
        ),
        ("KVM switch of ATEN", device(0x0557, 0x2213, 120, keyboard_and_mouse())),
        ("KVM switch of Belkin", device(0x050d, 0x0102, 120, keyboard_and_mouse())),
        ("desktop KVM of Avocent", device(0x0624, 0x0013, 120, keyboard_and_mouse())),
        ("pen tablet with its driver on a drive", {
            device(0x08f2, 0x6811, 120, vec![of_class(8), hid(HidKind::Mouse), hid(HidKind::Keyboard)])
        }),
        ("phone that charges", device(0x18d1, 0x4ee1, 4800, vec![of_class(6)])),
        ("network adapter", device(0x0bda, 0x8153, 50_000, vec![of_class(2), of_class(10)])),
        (
            "Linux gadget that is a network adapter",
            device(0x1d6b, 0x0104, 4800, vec![of_class(2), of_class(10)]),
        ),
    ];
    for (name, raw) in twins {
        assert_eq!(judged(&raw), [""; 0], "{name}");
    }
}
