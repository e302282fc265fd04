//! IP-KVMs by what they say of themselves when nobody changed it.
//!
//! Sources: the devices' own open firmware (pikvm/kvmd, tiny-pilot/tinypilot, jetkvm/kvm, sipeed/NanoKVM).
//! Innocent twins: none at work; in a homelab the device itself. Defeated by one line in the device's
//! configuration: [`super::shape`] is for those.

use super::RawUsb;

/// What an IP-KVM says of itself by default. What is `None` does not matter.
struct Default_ {
    name: &'static str,
    ids: Option<(u16, u16)>,
    /// Lower-case part of manufacturer or product.
    says: Option<&'static str>,
    serial: Option<&'static str>,
}

const GADGET: Option<(u16, u16)> = Some((0x1d6b, 0x0104));

const DEFAULTS: [Default_; 13] = [
    Default_ { name: "PiKVM", ids: GADGET, says: None, serial: Some("CAFEBABE") },
    Default_ { name: "PiKVM", ids: None, says: Some("pikvm"), serial: None },
    Default_ { name: "PiKVM", ids: GADGET, says: Some("composite kvm device"), serial: None },
    Default_ { name: "TinyPilot", ids: None, says: None, serial: Some("6b65796d696d6570690") },
    Default_ { name: "TinyPilot", ids: None, says: Some("tinypilot"), serial: None },
    Default_ { name: "JetKVM", ids: None, says: Some("jetkvm"), serial: None },
    Default_ { name: "NanoKVM", ids: Some((0x3346, 0x1009)), says: None, serial: None },
    Default_ { name: "NanoKVM", ids: None, says: Some("nanokvm"), serial: None },
    Default_ { name: "NanoKVM", ids: None, says: Some("sipeed"), serial: Some("0123456789ABCDEF") },
    Default_ { name: "GL.iNet", ids: None, says: Some("glkvm"), serial: None },
    Default_ { name: "BliKVM", ids: None, says: Some("blikvm"), serial: None },
    Default_ { name: "Openterface", ids: None, says: Some("openterface"), serial: None },
    Default_ { name: "a KVM gadget", ids: GADGET, says: Some("kvm"), serial: None },
];

/// The IP-KVM whose defaults these are.
pub fn kvm(raw: &RawUsb) -> Option<&'static str> {
    let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
    let (manufacturer, product) = (lower(&raw.manufacturer), lower(&raw.product));
    let serial = raw.serial.as_deref().map(str::trim);
    let fits = |d: &&Default_| {
        d.ids.is_none_or(|ids| ids == (raw.vendor_id, raw.product_id))
            && d.says.is_none_or(|word| manufacturer.contains(word) || product.contains(word))
            && d.serial.is_none_or(|known| serial.is_some_and(|s| s.eq_ignore_ascii_case(known)))
    };
    DEFAULTS.iter().find(fits).map(|d| d.name)
}
