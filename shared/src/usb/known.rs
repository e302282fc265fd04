//! IP-KVMs by what they say of themselves when nobody changed it.
//!
//! Sources: the devices' own open firmware (pikvm/kvmd, tiny-pilot/tinypilot, jetkvm/kvm, sipeed/NanoKVM, gl-inet/glkvm).
//! Innocent twins: none at work; in a homelab the device itself. Defeated by one line in the device's
//! configuration: [`super::shape`] is for those.

use super::RawUsb;

/// What an IP-KVM says of itself by default. What is `None` does not matter.
struct Defaults {
    name: &'static str,
    ids: Option<(u16, u16)>,
    /// Lower-case part of manufacturer or product.
    says: Option<&'static str>,
    serial: Option<&'static str>,
}

const GADGET: Option<(u16, u16)> = Some((0x1d6b, 0x0104));

const DEFAULTS: [Defaults; 14] = [
    Defaults { name: "PiKVM", ids: GADGET, says: None, serial: Some("CAFEBABE") },
    Defaults { name: "PiKVM", ids: None, says: Some("pikvm"), serial: None },
    Defaults { name: "PiKVM", ids: GADGET, says: Some("composite kvm device"), serial: None },
    Defaults { name: "TinyPilot", ids: None, says: None, serial: Some("6b65796d696d6570690") },
    Defaults { name: "TinyPilot", ids: None, says: Some("tinypilot"), serial: None },
    Defaults { name: "JetKVM", ids: None, says: Some("jetkvm"), serial: None },
    Defaults { name: "NanoKVM", ids: Some((0x3346, 0x1009)), says: None, serial: None },
    Defaults { name: "NanoKVM", ids: None, says: Some("nanokvm"), serial: None },
    Defaults { name: "NanoKVM", ids: None, says: Some("sipeed"), serial: Some("0123456789ABCDEF") },
    Defaults { name: "GL.iNet", ids: None, says: Some("glkvm"), serial: None },
    Defaults { name: "GL.iNet", ids: None, says: Some("glinet composite"), serial: None },
    Defaults { name: "BliKVM", ids: None, says: Some("blikvm"), serial: None },
    Defaults { name: "Openterface", ids: None, says: Some("openterface"), serial: None },
    Defaults { name: "a KVM gadget", ids: GADGET, says: Some("kvm"), serial: None },
];

/// JetKVM's built-in disguises by their ids. The products themselves run at 1.5 or 12 Mb/s.
const DISGUISES: [(u16, u16); 3] = [(0x046d, 0xc52b), (0x045e, 0x005f), (0x413c, 0x2011)];

/// Whether a device wears one of the disguises that an IP-KVM has built in, which its speed gives away.
pub fn is_disguise(raw: &RawUsb) -> bool {
    DISGUISES.contains(&(raw.vendor_id, raw.product_id)) && raw.speed_tenths >= super::shape::HIGH_SPEED
}

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
