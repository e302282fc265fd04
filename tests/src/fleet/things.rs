//! Hardware: docks, screens, mice, IP-KVMs, as the agent's own parsers make facts of it.

use anyhow::Context as _;
use farmwatch_shared::edid;
use farmwatch_shared::facts::{Bus, Display, EdidFacts, HidCaps, HidDevice, UsbDevice};
use farmwatch_shared::id::HashKey;
use farmwatch_shared::state::State;
use farmwatch_shared::usb::{self, HidKind, RawInterface, RawUsb};

use super::dice::Dice;
use super::situation::{Desk, Kvm};

/// Real monitors, `type/vendor/model<TAB>hex` (linuxhw/EDID, CC BY 4.0), KVM switches and capture sticks among them as
/// often as they are.
const MONITORS: &[u8] = include_bytes!("../../fixtures/scoreboard/edid_monitors.tsv.zst");
/// What IP-KVMs present (the devices' own open firmware).
const KVM_EDIDS: &str = include_str!("../../fixtures/scoreboard/edid_kvm.tsv");

/// Report descriptors as PiKVM's and JetKVM's firmware have them (tests/fixtures/scoreboard/kvm_usb.jsonl).
const PIKVM_KEYBOARD: &str = "05010906a101050719e029e71500250175019508810295017508810195057501050819012905910295017503910195067508150026ff00050719002aff008100c0";
const PIKVM_ABSOLUTE: &str = "05010902a1010901a1000509190129081500250195087501810205010930093116000026ff7f75109502810209381581257f750895018106c0c0";
const JETKVM_KEYBOARD: &str = "05010906a101050719e029e71500250175019508810295017508810395057501050819012905910295017503910395067508150025650507190029658100c0";
const JETKVM_ABSOLUTE: &str = "05010902a10185010901a1000509190129031500250175019503810295017505810305010930093116000026ff7f36000046ff7f751095028102c0850209381581257f35004500750895018106c0";

/// What hardware shows.
pub struct Things {
    key: HashKey,
    dice: Dice,
    monitors: Vec<EdidFacts>,
    kvm_screen: EdidFacts,
}

impl Things {
    /// Reads what real monitors and IP-KVMs say.
    pub fn new(key: HashKey, dice: Dice) -> anyhow::Result<Self> {
        let lines = String::from_utf8(zstd::decode_all(MONITORS)?)?;
        let facts = |line: &str| {
            let hex = line.rsplit_once('\t').context("a line of EDIDs without a tab")?.1;
            edid::facts(&hex::decode(hex)?, &key).context("an EDID that does not read")
        };
        // One in seven is variety enough.
        let real = lines.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).step_by(7);
        let monitors = real.filter_map(|line| facts(line).ok()).collect();
        let default = KVM_EDIDS.lines().find(|line| line.starts_with("PiKVM\tv3\t"));
        let kvm_screen = facts(default.context("no EDID of a PiKVM")?)?;
        Ok(Self { key, dice, monitors, kvm_screen })
    }

    /// The facts of what is plugged into a laptop.
    pub fn put(&self, state: &mut State, desk: &Desk, lid_closed: bool, serial: u32) {
        state.put("eDP-1", &panel(!lid_closed));
        state.put("ps2:0001:0001:0", &keyboard());
        if desk.dock > 0 {
            state.put("2-1", &self.usb(&dock(), &format!("DK{:08}", desk.dock)));
        }
        if desk.screen > 0 {
            let screen = self.monitor(desk.screen);
            state.put("DP-1", &external("DP", screen));
        }
        if desk.usb_input > 0 {
            state.put("1-4", &self.usb(&mouse(desk.usb_input), ""));
        }
        if desk.bluetooth > 0 {
            state.put("bluetooth:046d:b023:0", &bluetooth_mouse());
        }
        if desk.fast_hid > 0 {
            state.put("1-5", &self.usb(&webcam(), &format!("WC{:06}", desk.fast_hid)));
        }
        if desk.jiggler {
            state.put("1-6", &self.usb(&jiggler(), ""));
        }
        if desk.dummy_plug {
            let plug = EdidFacts {
                manufacturer: "CLB".into(),
                model: Some("fit Headless".into()),
                ..self.monitor(1)
            };
            state.put("HDMI-A-2", &external("HDMI-A", plug));
        }
        if let Some((kvm, unit)) = desk.kvm {
            self.kvm(state, kvm, unit, serial);
        }
    }

    /// The facts of a virtual desktop: a screen that its host draws, the host's keyboard and pointer.
    pub fn put_virtual(state: &mut State) {
        state.put("Virtual-1", &Display { connector: "Virtual".into(), active: true, ..Display::default() });
        state.put(
            "hyperv:045e:0621:0",
            &of_host(
                "0621",
                "Microsoft Vmbus HID-compliant Mouse",
                HidCaps { absolute: true, ..HidCaps::default() },
            ),
        );
        state.put(
            "hyperv:045e:0622:0",
            &of_host(
                "0622",
                "Microsoft Hyper-V Virtual Keyboard",
                HidCaps { keyboard: true, ..HidCaps::default() },
            ),
        );
    }

    fn kvm(&self, state: &mut State, kvm: Kvm, unit: u32, laptop: u32) {
        let (device, serial, screen) = match kvm {
            // Its serial number is the same on all of them, and agents keep no such.
            Kvm::Default => (pikvm(), String::new(), Some(self.kvm_screen.clone())),
            Kvm::Disguised => (
                disguised(),
                format!("{:016x}", self.dice.of("kvm").at(unit).number()),
                Some(self.monitor(unit)),
            ),
            Kvm::Adapted => (receiver(), String::new(), Some(self.monitor(unit))),
            Kvm::Bluetooth => {
                state.put("bluetooth:046d:b342:0", &bluetooth_keyboard());
                return state.put("HDMI-A-1", &external("HDMI-A", self.monitor(unit)));
            }
            // A switch passes its own keyboard and mouse and the monitor behind it.
            Kvm::Switch => (switch(), String::new(), None),
        };
        state.put("1-2", &self.usb(&device, &serial));
        if let Some(screen) = screen {
            // An IP-KVM's screen has no serial number, or one that all have.
            let screen = EdidFacts { serial: None, ..screen };
            state
                .put(if laptop.is_multiple_of(2) { "HDMI-A-1" } else { "DP-3" }, &external("HDMI-A", screen));
        }
    }

    fn usb(&self, raw: &RawUsb, serial: &str) -> UsbDevice {
        let serial = (!serial.is_empty()).then(|| serial.to_owned());
        usb::facts(&RawUsb { serial, removable: Some(true), ..raw.clone() }, &self.key)
    }

    /// A monitor by its number: a real model, a serial number of its own if the model has one.
    fn monitor(&self, number: u32) -> EdidFacts {
        let dice = self.dice.of("monitor").at(number);
        let model = dice.below(u32::try_from(self.monitors.len()).unwrap_or(1)) as usize;
        let Some(real) = self.monitors.get(model) else { return EdidFacts::default() };
        let serial = real.serial.as_ref().map(|_| self.key.hash("edid_serial", &number.to_string()));
        EdidFacts { serial, ..real.clone() }
    }
}

fn panel(active: bool) -> Display {
    let edid = EdidFacts {
        manufacturer: "AUO".into(),
        product: 0x1234,
        width_mm: 309,
        height_mm: 174,
        preferred: Some((1920, 1080)),
        ..EdidFacts::default()
    };
    Display { connector: "eDP".into(), built_in: true, active, edid: Some(edid), ..Display::default() }
}

fn external(connector: &str, edid: EdidFacts) -> Display {
    Display { connector: connector.into(), active: true, edid: Some(edid), ..Display::default() }
}

fn keyboard() -> HidDevice {
    HidDevice {
        bus: Bus::Ps2,
        vendor_id: "0001".into(),
        product_id: "0001".into(),
        name: "AT Translated Set 2 keyboard".into(),
        caps: HidCaps { keyboard: true, ..HidCaps::default() },
        built_in: true,
        ..HidDevice::default()
    }
}

/// What a hypervisor shows its guest.
fn of_host(product: &str, name: &str, caps: HidCaps) -> HidDevice {
    let (vendor_id, product_id, name) = ("045e".into(), product.into(), name.into());
    HidDevice { bus: Bus::Other, vendor_id, product_id, name, caps, ..HidDevice::default() }
}

/// What a dongle calls itself that is keyboard and mouse at once.
fn bluetooth_keyboard() -> HidDevice {
    HidDevice {
        product_id: "b342".into(),
        name: "Keyboard K380".into(),
        caps: HidCaps { keyboard: true, relative: true, ..HidCaps::default() },
        ..bluetooth_mouse()
    }
}

fn bluetooth_mouse() -> HidDevice {
    HidDevice {
        bus: Bus::Bluetooth,
        vendor_id: "046d".into(),
        product_id: "b023".into(),
        name: "MX Master 3".into(),
        caps: HidCaps { relative: true, ..HidCaps::default() },
        ..HidDevice::default()
    }
}

/// A USB device of a maker.
fn device(ids: (u16, u16), names: (&str, &str), speed_tenths: u32, interfaces: Vec<RawInterface>) -> RawUsb {
    RawUsb {
        vendor_id: ids.0,
        product_id: ids.1,
        manufacturer: Some(names.0.into()),
        product: Some(names.1.into()),
        speed_tenths,
        usb_version: Some("2.00".into()),
        device_version: Some("01.00".into()),
        interfaces,
        ..RawUsb::default()
    }
}

fn hid(protocol: u8, kind: HidKind) -> RawInterface {
    RawInterface {
        class: 3,
        subclass: u8::from(protocol > 0),
        protocol,
        hid_version: Some(0x0111),
        driver: Some("usbhid".into()),
        hid_kind: Some(kind),
        ..RawInterface::default()
    }
}

/// A function as Linux' imitation of HID has it.
fn gadget(protocol: u8, descriptor: &str) -> RawInterface {
    let kind = if protocol == 1 { HidKind::Keyboard } else { HidKind::Mouse };
    RawInterface {
        hid_version: Some(0x0101),
        report_descriptor: hex::decode(descriptor).ok(),
        ..hid(protocol, kind)
    }
}

fn class(class: u8) -> RawInterface {
    RawInterface { class, ..RawInterface::default() }
}

fn mouse(number: u32) -> RawUsb {
    let mouse = vec![hid(2, HidKind::Mouse)];
    match number % 3 {
        0 => receiver(),
        1 => device((0x413c, 0x301a), ("Dell", "Dell MS116 USB Optical Mouse"), 15, mouse),
        _ => device((0x046d, 0xc077), ("Logitech", "USB Optical Mouse"), 15, mouse),
    }
}

/// A Logitech receiver as it is.
fn receiver() -> RawUsb {
    let functions = vec![hid(1, HidKind::Keyboard), hid(2, HidKind::Mouse), hid(0, HidKind::Device)];
    device((0x046d, 0xc52b), ("Logitech", "USB Receiver"), 120, functions)
}

fn dock() -> RawUsb {
    device(
        (0x17ef, 0xa396),
        ("Lenovo", "ThinkPad USB-C Dock Gen2 USB Audio"),
        50_000,
        vec![class(1), class(2)],
    )
}

fn webcam() -> RawUsb {
    let functions = vec![class(14), class(1), hid(0, HidKind::Device)];
    device((0x046d, 0x0892), ("Logitech", "HD Pro Webcam C920"), 4800, functions)
}

fn jiggler() -> RawUsb {
    device((0x0e90, 0x0028), ("WiebeTech", "Mouse Jiggler"), 120, vec![hid(2, HidKind::Mouse)])
}

fn switch() -> RawUsb {
    let functions = vec![hid(1, HidKind::Keyboard), hid(2, HidKind::Mouse)];
    device((0x0557, 0x2405), ("ATEN", "4 Port USB KVM B V1.80"), 15, functions)
}

fn pikvm() -> RawUsb {
    let functions = vec![gadget(1, PIKVM_KEYBOARD), gadget(0, PIKVM_ABSOLUTE), class(8)];
    device((0x1d6b, 0x0104), ("PiKVM", "PiKVM Composite Device"), 4800, functions)
}

fn disguised() -> RawUsb {
    let functions = vec![gadget(1, JETKVM_KEYBOARD), gadget(0, JETKVM_ABSOLUTE), class(8)];
    device((0x046d, 0xc52b), ("Logitech (x64)", "Logitech USB Input Device"), 4800, functions)
}
