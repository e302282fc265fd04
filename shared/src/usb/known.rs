//! IP-KVMs, remote consoles and jigglers by what they say of themselves when nobody changed it.
//!
//! Sources: the devices' own open firmware (pikvm/kvmd, tiny-pilot/tinypilot, jetkvm/kvm, sipeed/NanoKVM,
//! gl-inet/glkvm, ThomasVon2021/blikvm, mofeng-git/One-KVM, openbmc/obmc-ikvm) and the usb.ids register for the
//! commercial ones. Innocent twins: none at work; in a homelab the device itself; a KVM *switch* of the same makers is
//! on no list. Defeated by one line in the device's configuration: [`super::shape`] is for those.

use super::RawUsb;

/// What a device says of itself by default. What is `None` does not matter.
struct Defaults {
    name: &'static str,
    ids: Option<(u16, u16)>,
    /// Lower-case part of manufacturer or product.
    says: Option<&'static str>,
    serial: Option<&'static str>,
}

const GADGET: Option<(u16, u16)> = Some((0x1d6b, 0x0104));

/// The first that fits names the device.
const DEFAULTS: [Defaults; 23] = [
    Defaults { name: "BliKVM", ids: Some((0x1d6b, 0x0106)), says: Some("smart-kvm"), serial: None },
    Defaults { name: "BliKVM", ids: None, says: Some("blikvm"), serial: None },
    Defaults { name: "One-KVM", ids: None, says: Some("one-kvm"), serial: None },
    Defaults { name: "GL.iNet", ids: None, says: Some("glkvm"), serial: None },
    Defaults { name: "GL.iNet", ids: None, says: Some("glinet composite"), serial: None },
    Defaults { name: "GL.iNet", ids: Some((0x38eb, 0x0104)), says: None, serial: None },
    Defaults { name: "PiKVM", ids: GADGET, says: None, serial: Some("CAFEBABE") },
    Defaults { name: "PiKVM", ids: None, says: Some("pikvm"), serial: None },
    Defaults { name: "PiKVM", ids: GADGET, says: Some("composite kvm device"), serial: None },
    Defaults { name: "PiKVM", ids: Some((0x1209, 0xeda2)), says: None, serial: None },
    Defaults { name: "PiKVM", ids: Some((0x1209, 0xeda3)), says: None, serial: None },
    Defaults { name: "TinyPilot", ids: None, says: Some("tinypilot"), serial: None },
    Defaults { name: "TinyPilot", ids: None, says: None, serial: Some("6b65796d696d6570690") },
    Defaults { name: "JetKVM", ids: None, says: Some("jetkvm"), serial: None },
    Defaults { name: "NanoKVM", ids: Some((0x3346, 0x1009)), says: None, serial: None },
    Defaults { name: "NanoKVM", ids: None, says: Some("nanokvm"), serial: None },
    Defaults { name: "NanoKVM", ids: None, says: Some("sipeed"), serial: Some("0123456789ABCDEF") },
    Defaults { name: "Openterface", ids: None, says: Some("openterface"), serial: None },
    Defaults {
        name: "CH9329, the keyboard chip of Openterface, NanoKVM-USB and others",
        ids: Some((0x1a86, 0xe129)),
        says: None,
        serial: None,
    },
    Defaults { name: "CH9329", ids: None, says: Some("ch9329"), serial: None },
    Defaults { name: "OpenBMC", ids: GADGET, says: Some("openbmc"), serial: None },
    Defaults { name: "a KVM gadget", ids: GADGET, says: Some("kvm"), serial: None },
    Defaults { name: "Lantronix Spider", ids: None, says: Some("lantronix"), serial: None },
];

/// Adapters of commercial IP-KVMs and servers' remote consoles by their ids (usb.ids 2024). Product `None`: all
/// that the maker makes are such adapters.
const CONSOLES: [(u16, Option<u16>, &str); 17] = [
    (0x046b, Some(0xff10), "AMI MegaRAC virtual keyboard and mouse"),
    (0x046b, Some(0xff20), "AMI MegaRAC virtual media"),
    (0x046b, Some(0xff31), "AMI MegaRAC virtual media"),
    (0x03f0, Some(0x1027), "HP iLO virtual keyboard and mouse"),
    (0x03f0, Some(0x1227), "HP iLO virtual media"),
    (0x03f0, Some(0x1327), "HP iLO virtual hub"),
    (0x413c, Some(0x0000), "Dell DRAC virtual keyboard and mouse"),
    (0x413c, Some(0x0001), "Dell DRAC virtual media"),
    (0x413c, Some(0x2500), "Dell DRAC remote access card"),
    (0x0624, Some(0x0248), "Avocent or iDRAC virtual hub"),
    (0x0624, Some(0x0249), "Avocent or iDRAC virtual keyboard and mouse"),
    (0x0624, Some(0x0251), "Avocent or iDRAC virtual media"),
    (0x0624, Some(0x0294), "Avocent KVM adapter of Dell"),
    (0x0624, Some(0x0402), "Cisco CIMC virtual keyboard and mouse"),
    (0x0624, Some(0x0403), "Cisco CIMC virtual media"),
    (0x0557, Some(0x2419), "ATEN or Supermicro virtual keyboard and mouse"),
    (0x14dd, None, "Raritan KVM adapter"),
];

/// The IP-KVM whose defaults these are.
pub fn kvm(raw: &RawUsb) -> Option<&'static str> {
    let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
    let (manufacturer, product) = (lower(&raw.manufacturer), lower(&raw.product));
    let serial = raw.serial.as_deref().map(str::trim);
    let fits = |d: &&Defaults| {
        d.ids.is_none_or(|ids| ids == (raw.vendor_id, raw.product_id))
            && d.says.is_none_or(|word| manufacturer.contains(word) || product.contains(word))
            && d.serial.is_none_or(|known| serial.is_some_and(|s| s.eq_ignore_ascii_case(known)))
    };
    DEFAULTS.iter().find(fits).map(|d| d.name)
}

/// The commercial IP-KVM's adapter or server's console that this is.
pub fn console(raw: &RawUsb) -> Option<&'static str> {
    let fits = |(vendor, product, _): &&(u16, Option<u16>, &str)| {
        *vendor == raw.vendor_id && product.is_none_or(|product| product == raw.product_id)
    };
    CONSOLES.iter().find(fits).map(|(_, _, name)| *name)
}

/// Products that only jiggle a mouse, by their ids.
const JIGGLERS: [(u16, u16, &str); 2] =
    [(0x0e90, 0x0028, "WiebeTech Mouse Jiggler"), (0x1d50, 0x609c, "antiAFK keyboard")];

/// What jigglers call themselves.
const JIGGLER_WORDS: [&str; 6] =
    ["jiggler", "mouse mover", "mousemover", "anti afk", "antiafk", "keep awake"];

/// Whether a device is a jiggler by its own word.
pub fn is_jiggler(raw: &RawUsb) -> bool {
    let by_ids =
        JIGGLERS.iter().any(|(vendor, product, _)| (*vendor, *product) == (raw.vendor_id, raw.product_id));
    let words = [&raw.manufacturer, &raw.product].into_iter().flatten();
    by_ids || words.into_iter().any(|text| says_jiggler(text))
}

/// Whether a name is a jiggler's.
pub fn says_jiggler(name: &str) -> bool {
    let name = name.to_lowercase();
    JIGGLER_WORDS.iter().any(|word| name.contains(word))
}
