//! USB and Thunderbolt devices from `/sys/bus/usb/devices` and `/sys/bus/thunderbolt/devices`.

use std::path::Path;

use farmwatch_shared::hid::MAX_DESCRIPTOR;
use farmwatch_shared::usb::{self, RawInterface, RawUsb};

use crate::sensors::read::{self, MANY};
use crate::sensors::{Sensed, SensorError, sysfs};

/// Class of hubs.
const HUB: u32 = 9;
/// Most bytes of a device's raw descriptors: its own 18 and, of all configurations, what a 16-bit length can say. Real
/// ones have some hundred.
const MAX_DESCRIPTORS: usize = 18 + 65_535;

/// States everything on USB and Thunderbolt but hubs, by port path.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    let key = &config.hash_key;
    let bus = config.path("sys/bus/usb/devices");
    let thunderbolt = config.path("sys/bus/thunderbolt/devices");
    let thunderbolt_names = read::names(&thunderbolt, MANY).unwrap_or_default();
    let names = match read::names(&bus, MANY) {
        Err(e) if e.is_missing() && !thunderbolt_names.is_empty() => Vec::new(),
        Err(e) if e.is_missing() => {
            let why = "the kernel knows of no USB: this machine has no USB controller, or its driver is off";
            return Err(SensorError::NotSupported(why.into()));
        }
        other => other?,
    };
    for name in names.iter().filter(|name| is_device(name)) {
        match device(&bus, name, &names) {
            Some(raw) if raw.class == HUB => {}
            Some(raw) => out.fact(name, &usb::facts(&raw.device, key)),
            None => {
                let why = format!("the USB device at {name} does not say what it is");
                out.partly(SensorError::Blind(why));
            }
        }
    }
    for name in &thunderbolt_names {
        if let Some(raw) = thunderbolt_device(&thunderbolt.join(name)) {
            out.fact(&format!("thunderbolt-{name}"), &usb::facts(&raw, key));
        }
    }
    Ok(())
}

struct Raw {
    class: u32,
    device: RawUsb,
}

/// `1-4.2` is a device, `1-4.2:1.0` one of its interfaces, `usb1` a root hub.
fn is_device(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit()) && name.contains('-') && !name.contains(':')
}

fn device(bus: &Path, name: &str, names: &[String]) -> Option<Raw> {
    let dir = bus.join(name);
    let ids = (sysfs::hex(&dir, "idVendor")?, sysfs::hex(&dir, "idProduct")?);
    let own = format!("{name}:");
    let hid_versions = read::bytes(&dir.join("descriptors"), MAX_DESCRIPTORS)
        .map(|descriptors| usb::hid_versions(&descriptors))
        .unwrap_or_default();
    let interfaces = names.iter().filter(|n| n.starts_with(&own));
    let interfaces = interfaces.filter_map(|n| interface(&bus.join(n), &hid_versions));
    Some(Raw {
        class: sysfs::hex(&dir, "bDeviceClass").unwrap_or(0),
        device: RawUsb {
            vendor_id: u16::try_from(ids.0).ok()?,
            product_id: u16::try_from(ids.1).ok()?,
            manufacturer: read::attribute(&dir.join("manufacturer")),
            product: read::attribute(&dir.join("product")),
            serial: read::attribute(&dir.join("serial")),
            speed_tenths: speed(&dir),
            usb_version: read::attribute(&dir.join("version")),
            device_version: read::attribute(&dir.join("bcdDevice")).and_then(|v| dotted(&v)),
            interfaces: interfaces.take(32).collect(),
            removable: sysfs::removable(&dir),
        },
    })
}

fn interface(dir: &Path, hid_versions: &[(u8, u16)]) -> Option<RawInterface> {
    let number = |name| sysfs::hex(dir, name).and_then(|n| u8::try_from(n).ok());
    let own = number("bInterfaceNumber");
    Some(RawInterface {
        class: number("bInterfaceClass")?,
        subclass: number("bInterfaceSubClass").unwrap_or(0),
        protocol: number("bInterfaceProtocol").unwrap_or(0),
        hid_version: hid_versions.iter().find(|(of, _)| Some(*of) == own).map(|(_, version)| *version),
        driver: driver(dir),
        report_descriptor: descriptor(dir),
        hid_kind: None,
    })
}

fn driver(dir: &Path) -> Option<String> {
    Some(read::link(&dir.join("driver")).ok()?.file_name()?.to_str()?.to_owned())
}

/// The report descriptor of the HID device that hangs on this interface, such as `0003:046D:C52B.0001`.
fn descriptor(interface: &Path) -> Option<Vec<u8>> {
    let names = read::names(interface, MANY).ok()?;
    let child = names.iter().find(|name| name.split(':').count() == 3 && name.contains('.'))?;
    read::bytes(&interface.join(child).join("report_descriptor"), MAX_DESCRIPTOR).ok()
}

/// Megabits per second in tenths: `1.5` is 15, `480` is 4800.
fn speed(dir: &Path) -> u32 {
    let Some(text) = read::attribute(&dir.join("speed")) else { return 0 };
    let (whole, tenth) = text.split_once('.').unwrap_or((&text, "0"));
    let whole: u32 = whole.parse().unwrap_or(0);
    whole.saturating_mul(10).saturating_add(tenth.parse().unwrap_or(0))
}

/// `0510` as people write it: `05.10`.
fn dotted(bcd: &str) -> Option<String> {
    let fits = bcd.len() == 4 && bcd.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| format!("{}.{}", &bcd[..2], &bcd[2..]))
}

/// A dock, an enclosure, a cable: what Thunderbolt and USB 4 show beside the USB tree. Routers of the laptop
/// itself (`0-0`, …) have no `authorized` state of their own and are left out, as are domains and retimers.
fn thunderbolt_device(dir: &Path) -> Option<RawUsb> {
    let name = dir.file_name()?.to_str()?;
    let (_, route) = name.split_once('-')?;
    if route == "0" || name.contains(':') {
        return None;
    }
    let ids = (sysfs::hex(dir, "vendor")?, sysfs::hex(dir, "device")?);
    Some(RawUsb {
        vendor_id: u16::try_from(ids.0).ok()?,
        product_id: u16::try_from(ids.1).ok()?,
        manufacturer: read::attribute(&dir.join("vendor_name")),
        product: read::attribute(&dir.join("device_name")),
        serial: read::attribute(&dir.join("unique_id")),
        speed_tenths: thunderbolt_speed(dir),
        usb_version: read::attribute(&dir.join("generation")).map(|g| format!("Thunderbolt {g}")),
        device_version: None,
        interfaces: Vec::new(),
        removable: Some(true),
    })
}

/// `20.0 Gb/s` a lane in tenths of Mb/s.
fn thunderbolt_speed(dir: &Path) -> u32 {
    let text = read::attribute(&dir.join("rx_speed")).unwrap_or_default();
    let gigabits: u32 = text.split(['.', ' ']).next().and_then(|n| n.parse().ok()).unwrap_or(0);
    gigabits.saturating_mul(10_000)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use farmwatch_shared::facts::{SensorState, SensorStatus, UsbDevice};
    use proptest::prelude::*;

    use crate::sensors::machine::{Machine, Usb};

    const HUB: Usb = Usb {
        id: "0bda:5411",
        class: "09",
        speed: "480",
        removable: "removable",
        strings: ("", "", ""),
        interfaces: &[("090000", "")],
    };

    /// A Latitude 7410 at a Dell dock with a wired mouse, as its `lsusb` tells.
    fn docked_laptop() -> Machine {
        let machine = Machine::new();
        machine.usb(
            "1-6",
            Usb {
                id: "0bda:5520",
                speed: "480",
                removable: "fixed",
                strings: ("CN0000", "Integrated_Webcam_FHD", "0001"),
                interfaces: &[("0e0100", ""), ("0e0200", "")],
                ..Usb::default()
            },
        );
        machine.usb("3-2", HUB);
        machine.usb("3-2.3", HUB);
        machine.usb(
            "3-2.5",
            Usb {
                id: "413c:b06e",
                speed: "480",
                removable: "removable",
                strings: ("Dell", "Dell dock", ""),
                interfaces: &[("030000", "")],
                ..Usb::default()
            },
        );
        machine.usb(
            "3-2.3.1",
            Usb {
                id: "093a:2510",
                speed: "1.5",
                removable: "fixed",
                strings: ("PIXART", "USB OPTICAL MOUSE", ""),
                interfaces: &[("030102", "mouse_genius")],
                ..Usb::default()
            },
        );
        machine
    }

    #[test]
    fn a_docked_laptop_shows_its_devices_without_the_hubs() {
        let (found, status) = docked_laptop().look::<UsbDevice>();
        assert_eq!(status, SensorStatus::ok());
        let seen: Vec<_> =
            found.iter().map(|(port, d)| (port.as_str(), d.speed_tenths, d.removable)).collect();
        assert_eq!(
            seen,
            [("1-6", 4800, Some(false)), ("3-2.3.1", 15, Some(true)), ("3-2.5", 4800, Some(true))]
        );
        let mouse = &found[1].1;
        assert!(mouse.interfaces[0].hid.unwrap().relative && !mouse.interfaces[0].hid.unwrap().absolute);
        assert_eq!(
            (mouse.usb_version.as_deref(), mouse.device_version.as_deref()),
            (Some("2.00"), Some("05.10"))
        );
        assert!(
            found.iter().all(|(_, device)| device.traits.is_empty()),
            "a docked laptop is innocent: {found:?}"
        );
    }

    #[test]
    fn a_pikvm_is_known_and_its_serial_does_not_leave_the_laptop() {
        let machine = docked_laptop();
        let pikvm = Usb {
            id: "1d6b:0104",
            speed: "480",
            removable: "removable",
            strings: ("PiKVM", "Composite KVM Device", "CAFEBABE"),
            interfaces: &[("030101", "gadget_keyboard"), ("030000", "gadget_absolute_mouse"), ("080650", "")],
            ..Usb::default()
        };
        machine.usb("1-2", pikvm);
        let (found, _) = machine.look::<UsbDevice>();
        let (_, device) = found.iter().find(|(port, _)| port == "1-2").unwrap();
        assert!(device.traits.iter().any(|name| name.starts_with("known_kvm:")), "{:?}", device.traits);
        assert!(device.interfaces[0].hid.unwrap().keyboard && device.interfaces[1].hid.unwrap().absolute);
        assert!(!serde_json::to_string(device).unwrap().contains("CAFEBABE"));
    }

    #[test]
    fn linux_behind_a_gaming_keyboards_name_is_told_by_its_version_of_hid() {
        let machine = Machine::new();
        let disguised = Usb {
            id: "1532:0228",
            speed: "480",
            removable: "removable",
            strings: ("Razer", "Razer BlackWidow", ""),
            interfaces: &[("030101", "gadget_keyboard"), ("030102", "mouse_genius")],
            ..Usb::default()
        };
        machine.usb("1-2", disguised);
        let traits = |machine: &Machine| machine.look::<UsbDevice>().0[0].1.traits.clone();
        assert!(traits(&machine).is_empty(), "without its descriptors it passes for one");
        for number in ["0", "1"] {
            let file = format!("sys/bus/usb/devices/1-2:1.{number}/bInterfaceNumber");
            machine.file(&file, format!("0{number}\n"));
        }
        let one = |number: u8| [9, 4, number, 0, 1, 3, 1, 1, 0, 9, 0x21, 0x01, 0x01, 0, 1, 0x22, 63, 0];
        machine.file("sys/bus/usb/devices/1-2/descriptors", [one(0), one(1)].concat());
        assert_eq!(traits(&machine), ["linux_hid"]);
    }

    #[test]
    fn a_disguised_jetkvm_is_told_by_its_shape() {
        let machine = Machine::new();
        let disguised = Usb {
            id: "046d:c52b",
            speed: "480",
            removable: "removable",
            strings: ("Logitech (x64)", "Logitech USB Input Device", "7f3a9c21"),
            interfaces: &[("030101", "gadget_keyboard"), ("030002", "gadget_absolute_mouse"), ("080650", "")],
            ..Usb::default()
        };
        machine.usb("1-2", disguised);
        let (found, _) = machine.look::<UsbDevice>();
        assert!(!found[0].1.traits.is_empty());
    }

    #[test]
    fn a_thunderbolt_dock_is_seen_beside_usb_and_the_laptops_own_router_is_not() {
        let machine = docked_laptop();
        for (name, file) in [("0-0", "own"), ("0-1", "dock")] {
            let dir = format!("sys/bus/thunderbolt/devices/{name}");
            machine.file(&format!("{dir}/vendor"), "0x108\n");
            machine.file(&format!("{dir}/device"), "0x1630\n");
            machine.file(&format!("{dir}/vendor_name"), "Lenovo\n");
            machine.file(&format!("{dir}/device_name"), format!("ThinkPad Thunderbolt 3 {file}\n"));
            machine.file(&format!("{dir}/unique_id"), "c5010000-0072-740e-03f5-6c0d0d423a2e\n");
            machine.file(&format!("{dir}/rx_speed"), "20.0 Gb/s\n");
        }
        machine.file("sys/bus/thunderbolt/devices/domain0/security", "user\n");
        let (found, _) = machine.look::<UsbDevice>();
        let thunderbolt: Vec<_> = found.iter().filter(|(name, _)| name.starts_with("thunderbolt")).collect();
        assert_eq!(thunderbolt.len(), 1);
        assert_eq!(thunderbolt[0].1.speed_tenths, 200_000);
        assert!(thunderbolt[0].1.serial.is_some());
    }

    #[test]
    fn a_sysfs_that_lies_costs_sight_and_nothing_else() {
        let machine = docked_laptop();
        let bus = machine.path().join("sys/bus/usb/devices");
        machine.file("sys/bus/usb/devices/1-9/idVendor", [0xff, 0, 0xfe, 7]);
        symlink("1-8", bus.join("1-8")).unwrap();
        let mouse = machine.path().join("sys/bus/usb/devices/3-2.3.1");
        fs::remove_file(mouse.join("product")).unwrap();
        symlink("/dev/zero", mouse.join("product")).unwrap();
        fs::write(mouse.join("manufacturer"), vec![b'x'; 1 << 20]).unwrap();
        let (found, status) = machine.look::<UsbDevice>();
        assert_eq!(status.state, SensorState::Blind);
        assert_eq!(found.len(), 3, "what does not lie is still seen");
        assert_eq!(found[1].1.product, None);
    }

    #[test]
    fn files_of_any_kind_never_panic_and_hide_no_other_device() {
        let machine = docked_laptop();
        let before = machine.look::<UsbDevice>().0.len();
        let (device, dock) = ("sys/bus/usb/devices/1-9", "sys/bus/thunderbolt/devices/0-9");
        let text = "((0x)?[0-9a-fA-F]{0,9}|[0-9.]{0,30}( Gb/s)?|\\PC{0,300})\\n?";
        let bytes = || prop::collection::vec(any::<u8>(), 0..200);
        proptest!(ProptestConfig::with_cases(64), |(
            texts in prop::collection::vec(text, 12), descriptors in bytes(), report in bytes(),
        )| {
            let names = [
                "idVendor", "idProduct", "bDeviceClass", "speed", "version", "bcdDevice", "removable", "manufacturer", "product",
                "serial",
            ];
            for (name, text) in names.iter().zip(&texts) {
                machine.file(&format!("{device}/{name}"), text);
            }
            for (name, text) in ["bInterfaceNumber", "bInterfaceClass", "bInterfaceProtocol"].iter().zip(&texts[9..]) {
                machine.file(&format!("{device}:1.0/{name}"), text);
            }
            machine.file(&format!("{device}/descriptors"), &descriptors);
            machine.file(&format!("{device}:1.0/0003:1:2.0009/report_descriptor"), &report);
            for (name, text) in ["vendor", "device", "vendor_name", "device_name", "unique_id", "rx_speed"].iter().zip(&texts) {
                machine.file(&format!("{dock}/{name}"), text);
            }
            let (found, _) = machine.look::<UsbDevice>();
            prop_assert!(found.len() >= before && found.len() <= before + 2);
            for (_, device) in &found {
                let said = [&device.manufacturer, &device.product, &device.usb_version, &device.device_version];
                prop_assert!(said.into_iter().flatten().all(|text| text.chars().count() <= 126));
                prop_assert!(device.interfaces.len() <= 32);
            }
        });
    }

    #[test]
    fn a_machine_without_usb_says_so() {
        let (found, status) = Machine::new().look::<UsbDevice>();
        assert!(found.is_empty());
        assert_eq!(status.state, SensorState::NotSupported);
    }
}
