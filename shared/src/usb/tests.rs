use proptest::prelude::*;

use super::*;

const KVM: &str = include_str!("../../tests/fixtures/kvm_usb.tsv");

fn hid(kind: HidKind) -> RawInterface {
    RawInterface { class: 3, hid_kind: Some(kind), ..RawInterface::default() }
}

fn storage() -> RawInterface {
    RawInterface { class: 8, subclass: 6, protocol: 0x50, ..RawInterface::default() }
}

/// A line of the table, as its device shows itself.
fn kvm(line: &str) -> RawUsb {
    let fields: Vec<&str> = line.split('\t').collect();
    let id = |text: &str| u16::from_str_radix(text, 16).unwrap();
    RawUsb {
        vendor_id: id(fields[1]),
        product_id: id(fields[2]),
        manufacturer: Some(fields[3].to_owned()),
        product: Some(fields[4].to_owned()),
        serial: Some(fields[5].to_owned()),
        speed_tenths: 4800,
        interfaces: vec![hid(HidKind::Keyboard), hid(HidKind::Mouse), storage()],
        ..RawUsb::default()
    }
}

#[test]
fn every_ip_kvm_is_known_and_its_disguise_is_found_by_shape() {
    for line in KVM.lines().skip(1) {
        let traits = traits(&kvm(line));
        let has = |name: &str| traits.iter().any(|held| held.starts_with(name));
        if line.contains("built-in disguise") {
            assert!(has("gadget_kvm") && has("disguised"), "{line}: {traits:?}");
        } else {
            assert!(has("known_kvm:"), "{line}: {traits:?}");
        }
    }
}

#[test]
fn a_disguise_nobody_knows_is_found_by_shape() {
    let mut raw = kvm(KVM.lines().nth(1).unwrap());
    raw = RawUsb {
        vendor_id: 0x04d9,
        product_id: 0x0169,
        manufacturer: None,
        product: None,
        serial: None,
        ..raw
    };
    assert_eq!(traits(&raw), ["gadget_kvm"]);
    raw.interfaces.pop();
    assert_eq!(traits(&raw), ["gadget_keyboard"], "without its drive only the speed is left");
}

#[test]
fn an_absolute_pointer_gives_a_bare_keyboard_and_mouse_away() {
    let absolute = "05010902a1010901a10005091901290315002501750195038102950175058103050109300931160000\
                    26ff7f751095028102c0c0";
    let pointer = RawInterface {
        class: 3,
        report_descriptor: Some(hex::decode(absolute).unwrap()),
        ..RawInterface::default()
    };
    let raw = RawUsb {
        vendor_id: 0x1532,
        product_id: 0x0228,
        manufacturer: Some("Razer".into()),
        speed_tenths: 4800,
        interfaces: vec![hid(HidKind::Keyboard), pointer],
        ..RawUsb::default()
    };
    assert_eq!(traits(&raw), ["gadget_kvm", "absolute_kvm", "gadget_pointer"], "even as a gaming keyboard");
}

#[test]
fn a_real_receiver_of_the_ids_that_a_disguise_takes_is_innocent() {
    let raw = RawUsb {
        vendor_id: 0x046d,
        product_id: 0xc52b,
        manufacturer: Some("Logitech".into()),
        product: Some("USB Receiver".into()),
        speed_tenths: 120,
        interfaces: vec![hid(HidKind::Keyboard), hid(HidKind::Mouse), hid(HidKind::Device)],
        ..RawUsb::default()
    };
    assert_eq!(traits(&raw), [""; 0]);
}

#[test]
fn a_pen_tablet_with_its_driver_on_a_drive_is_innocent() {
    // "[T605] Driver Inside Tablet" of linuxwacom/wacom-hid-descriptors: keyboard, mouse and storage, at 12 Mb/s.
    let raw = RawUsb {
        vendor_id: 0x08f2,
        product_id: 0x6811,
        speed_tenths: 120,
        interfaces: vec![storage(), hid(HidKind::Mouse), hid(HidKind::Keyboard)],
        ..RawUsb::default()
    };
    assert_eq!(traits(&raw), [""; 0]);
}

#[test]
fn a_headset_and_a_webcam_at_480_are_innocent() {
    let audio = RawInterface { class: 1, ..RawInterface::default() };
    let raw =
        RawUsb { speed_tenths: 4800, interfaces: vec![audio, hid(HidKind::Device)], ..RawUsb::default() };
    assert_eq!(traits(&raw), [""; 0]);
}

#[test]
fn a_serial_leaves_as_a_hash_and_a_placeholder_not_at_all() {
    let key = HashKey::new([1; 32]);
    let with = |serial: &str| RawUsb { serial: Some(serial.into()), ..RawUsb::default() };
    let fact = facts(&with("AB12CD34"), &key);
    assert!(fact.serial.is_some() && !serde_json::to_string(&fact).unwrap().contains("AB12CD34"));
    for placeholder in ["", "0", "00000000", "0123456789ABCDEF", "123456789", "   ", "1111", "CAFEBABE"] {
        assert_eq!(facts(&with(placeholder), &key).serial, None, "{placeholder}");
    }
}

proptest! {
    #[test]
    fn no_device_panics_and_no_string_grows(
        vendor_id in any::<u16>(),
        manufacturer in prop::option::of(".{0,300}"),
        serial in prop::option::of(".{0,300}"),
        speed_tenths in any::<u32>(),
        interfaces in prop::collection::vec((any::<[u8; 3]>(), prop::option::of(prop::collection::vec(any::<u8>(), 0..80))), 0..9),
    ) {
        let interfaces = interfaces.into_iter().map(|([class, subclass, protocol], report_descriptor)| RawInterface {
            class, subclass, protocol, report_descriptor, ..RawInterface::default()
        });
        let interfaces = interfaces.collect();
        let raw = RawUsb { vendor_id, manufacturer, serial, speed_tenths, interfaces, ..RawUsb::default() };
        let fact = facts(&raw, &HashKey::new([3; 32]));
        let said = fact.manufacturer.unwrap_or_default();
        prop_assert!(said.chars().count() <= 126 && !said.contains(char::is_control));
    }
}
