//! Keyboards and pointers from `/sys/bus/hid/devices`, and what is no HID device (PS/2, uinput) from
//! `/sys/class/input`.

use std::path::Path;

use farmwatch_shared::facts::HidDevice;
use farmwatch_shared::hid::{self, MAX_DESCRIPTOR, RawHid};

use super::{evdev, state};
use crate::sensors::read::{self, MANY, ReadError};
use crate::sensors::{Sensed, SensorError, sysfs};

/// States every keyboard and pointer.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    let hid = config.path("sys/bus/hid/devices");
    let class = config.path("sys/class/input");
    let hid_names = or_missing(read::names(&hid, MANY))?;
    let inputs = or_missing(evdev::inputs(&class))?;
    if hid_names.is_none() && inputs.is_none() {
        let why = "the kernel has neither a HID nor an input layer: no keyboard or pointer can be attached";
        return Err(SensorError::NotSupported(why.into()));
    }
    let mut found = Vec::new();
    for name in hid_names.iter().flatten().filter(|name| evdev::is_hid_name(name)) {
        match hid_device(&hid.join(name), name) {
            Ok(device) => found.push(device),
            Err(why) => out.partly(SensorError::Blind(format!("the HID device {name}: {why}"))),
        }
    }
    for input in inputs.iter().flatten().filter(|input| !input.hid) {
        let name = read::attribute(&input.dir.join("name")).unwrap_or_default();
        found.push(HidDevice {
            traits: hid::traits(&RawHid { bus: input.bus, name: &name, ..RawHid::default() }),
            bus: input.bus,
            vendor_id: sysfs::id(&input.dir, "id/vendor").unwrap_or_else(|| "0000".into()),
            product_id: sysfs::id(&input.dir, "id/product").unwrap_or_else(|| "0000".into()),
            name,
            caps: input.caps,
            built_in: input.built_in,
        });
    }
    state(found, out);
    Ok(())
}

fn hid_device(dir: &Path, name: &str) -> Result<HidDevice, String> {
    let mut parts = name.split([':', '.']);
    let mut part = || parts.next().unwrap_or_default().to_ascii_lowercase();
    let (claimed, vendor_id, product_id) = (part(), part(), part());
    let bus = evdev::bus(u32::from_str_radix(&claimed, 16).unwrap_or(0), dir);
    let last_four = |id: String| id[id.len().saturating_sub(4)..].to_owned();
    let descriptor = read::bytes(&dir.join("report_descriptor"), MAX_DESCRIPTOR)
        .map_err(|e| format!("its descriptor: {}", e.why))?;
    let uevent = read::text(&dir.join("uevent"), read::SMALL).unwrap_or_default();
    let label = uevent.lines().find_map(|line| line.strip_prefix("HID_NAME=")).unwrap_or_default();
    let name = label.chars().filter(|c| !c.is_control()).take(126).collect::<String>().trim().to_owned();
    let number = |id: &str| u16::from_str_radix(&last_four(id.to_owned()), 16).unwrap_or(0);
    let ids = (number(&vendor_id), number(&product_id));
    let raw = RawHid { bus, ids, name: &name, descriptor: &descriptor, parsed: None };
    Ok(HidDevice {
        bus,
        vendor_id: last_four(vendor_id),
        product_id: last_four(product_id),
        traits: hid::traits(&raw),
        name,
        caps: hid::caps(&descriptor).map_err(|e| e.to_string())?,
        built_in: evdev::built_in(bus, dir),
    })
}

/// What is not there is none, not an error.
fn or_missing<T>(result: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match result {
        Err(e) if e.is_missing() => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use farmwatch_shared::facts::{Bus, SensorState, SensorStatus};

    use super::*;
    use crate::sensors::machine::{ABSOLUTE, KEYBOARD, MOUSE, Machine, TOUCHPAD, Usb, fixture};

    /// An ASUS Q405UA: PS/2 keyboard, I²C touchpad, power button.
    fn laptop() -> Machine {
        let machine = Machine::new();
        machine.input(
            0,
            "sys/devices/LNXSYSTM:00/LNXPWRBN:00/input",
            "0019",
            "Power Button",
            ["10000000000000 0", "0", "0"],
        );
        machine.input(
            3,
            "sys/devices/platform/i8042/serio0/input",
            "0011",
            "AT Translated Set 2 keyboard",
            KEYBOARD,
        );
        let i2c = "sys/devices/pci0000:00/0000:00:15.0/i2c_designware.0/i2c-6/i2c-ELAN1300:00";
        machine.hid(i2c, "0018:04F3:3057", "ELAN1300:00 04F3:3057", &fixture("hid/touchpad_elan.hex"));
        machine.input(
            7,
            &format!("{i2c}/0018:04F3:3057.0001/input"),
            "0018",
            "ELAN1300:00 Touchpad",
            TOUCHPAD,
        );
        machine
    }

    #[test]
    fn a_laptops_own_keyboard_and_touchpad_are_built_in_and_its_power_button_is_neither() {
        let (found, status) = laptop().look::<HidDevice>();
        assert_eq!(status, SensorStatus::ok());
        let seen: Vec<_> = found.iter().map(|(name, device)| (name.as_str(), device.built_in)).collect();
        assert_eq!(seen, [("i2c:04f3:3057:0", true), ("ps2:0001:0001:0", true)]);
        assert!(found[0].1.caps.digitizer && found[1].1.caps.keyboard);
    }

    #[test]
    fn each_interface_of_an_ip_kvm_is_a_device_that_somebody_plugged_in() {
        let machine = laptop();
        let pikvm = Usb {
            id: "1d6b:0104",
            speed: "480",
            removable: "removable",
            strings: ("PiKVM", "Composite KVM Device", "CAFEBABE"),
            interfaces: &[("030101", "gadget_keyboard"), ("030000", "gadget_absolute_mouse")],
            ..Usb::default()
        };
        machine.usb("1-2", pikvm);
        let (found, _) = machine.look::<HidDevice>();
        let usb: Vec<_> = found.iter().filter(|(name, _)| name.starts_with("usb:1d6b:0104:")).collect();
        assert_eq!(usb.len(), 2);
        assert!(usb[0].1.caps.keyboard && usb[1].1.caps.absolute && !usb[1].1.caps.digitizer);
        assert!(usb.iter().all(|(_, device)| !device.built_in));
    }

    #[test]
    fn a_keyboard_on_a_fixed_usb_port_is_built_in() {
        let machine = Machine::new();
        let n_key = Usb {
            id: "0b05:19b6",
            speed: "12",
            removable: "fixed",
            strings: ("ASUSTeK Computer Inc.", "N-KEY Device", ""),
            interfaces: &[("030101", "gadget_keyboard")],
            ..Usb::default()
        };
        machine.usb("1-3", n_key);
        assert!(machine.look::<HidDevice>().0[0].1.built_in);
    }

    #[test]
    fn a_bluetooth_mouse_keeps_its_make_and_loses_its_owner() {
        let machine = laptop();
        let mouse = fixture("hid/bluetooth_mouse_microsoft.hex");
        let uhid = "sys/devices/virtual/misc/uhid";
        machine.hid(uhid, "0005:045E:0827", "Anna's BluetoothMouse3600", &mouse);
        machine.hid(uhid, "0005:004C:0269", "Magic Mouse von Anna", &mouse);
        let (found, _) = machine.look::<HidDevice>();
        let names: Vec<_> =
            found.iter().filter(|(_, d)| d.bus == Bus::Bluetooth).map(|(_, d)| d.name.as_str()).collect();
        assert_eq!(names, ["", "BluetoothMouse3600"]);
        let sent = serde_json::to_string(&found.iter().map(|(_, d)| d).collect::<Vec<_>>()).unwrap();
        assert!(!sent.contains("f4:8c:50") && !sent.contains("Anna"));
    }

    #[test]
    fn a_pointer_made_of_a_kit_is_told_by_the_kits_ids() {
        let machine = laptop();
        let mouse = fixture("hid/bluetooth_mouse_microsoft.hex");
        machine.hid("sys/devices/virtual/misc/uhid", "0005:02E5:11A1", "BluetoothMouse3600", &mouse);
        let (found, _) = machine.look::<HidDevice>();
        let (_, kit) = found.iter().find(|(_, device)| device.bus == Bus::Bluetooth).unwrap();
        assert_eq!(kit.traits, ["kit"]);
    }

    #[test]
    fn software_that_claims_to_be_on_usb_is_virtual() {
        let machine = laptop();
        machine.input(20, "sys/devices/virtual/input", "0003", "Logitech USB Receiver", MOUSE);
        machine.input(21, "sys/devices/virtual/input", "0006", "RustDesk UInput Pointer", ABSOLUTE);
        machine.hid(
            "sys/devices/virtual/misc/uhid",
            "0003:046D:C52B",
            "Logitech",
            &fixture("hid/mouse_genius.hex"),
        );
        let (found, _) = machine.look::<HidDevice>();
        let virtual_ones: Vec<_> = found.iter().filter(|(_, device)| device.bus == Bus::Virtual).collect();
        assert_eq!(virtual_ones.len(), 3, "{found:?}");
        assert!(virtual_ones.iter().any(|(_, device)| device.caps.absolute));
    }

    #[test]
    fn a_sysfs_that_lies_costs_sight_and_nothing_else() {
        let machine = laptop();
        let hid = machine.path().join("sys/bus/hid/devices");
        symlink("0003:1234:5678.0009", hid.join("0003:1234:5678.0009")).unwrap();
        machine.file("sys/bus/hid/devices/0003:1234:5679.000A/report_descriptor", vec![0xff; 1 << 20]);
        machine.file("sys/class/input/input99/capabilities/key", [0xff, 0xfe, 0x00]);
        let (found, status) = machine.look::<HidDevice>();
        assert_eq!(status.state, SensorState::Blind);
        assert_eq!(found.len(), 2, "what does not lie is still seen");
    }

    #[test]
    fn files_of_any_kind_never_panic_and_hide_no_other_device() {
        let machine = laptop();
        let before = machine.look::<HidDevice>().0.len();
        let (hid, input) = ("sys/bus/hid/devices/0003:12345678:9.000A", "sys/class/input/input99");
        let bytes = || prop::collection::vec(any::<u8>(), 0..300);
        let text = "((HID_NAME=|[0-9a-fA-F]{0,20}|\\n| |\\PC){0,20}|[0-9a-f ]{0,400})";
        proptest!(ProptestConfig::with_cases(64), |(
            descriptor in bytes(), uevent in bytes(), line in text, ids in text, bits in text, cut in 0usize..150,
        )| {
            let mouse = fixture("hid/mouse_genius.hex");
            for descriptor in [&descriptor[..], &mouse[..cut.min(mouse.len())]] {
                machine.file(&format!("{hid}/report_descriptor"), descriptor);
                machine.file(&format!("{hid}/uevent"), &uevent);
                let (found, status) = machine.look::<HidDevice>();
                prop_assert!(found.len() >= before && found.len() <= before + 2);
                prop_assert!(status.state == SensorState::Blind || found.len() > before || status.state == SensorState::Ok);
            }
            machine.file(&format!("{hid}/uevent"), &line);
            for name in ["id/bustype", "id/vendor", "id/product"] {
                machine.file(&format!("{input}/{name}"), &ids);
            }
            for name in ["name", "capabilities/key", "capabilities/rel", "capabilities/abs"] {
                machine.file(&format!("{input}/{name}"), &bits);
            }
            let (found, _) = machine.look::<HidDevice>();
            prop_assert!(found.len() >= before && found.iter().all(|(_, device)| device.name.chars().count() <= 256));
        });
    }

    #[test]
    fn a_machine_without_input_says_so() {
        let (found, status) = Machine::new().look::<HidDevice>();
        assert!(found.is_empty());
        assert_eq!(status.state, SensorState::NotSupported);
    }
}
