//! EDIDs that IP-KVMs present by default.
//!
//! Sources: the devices' own open firmware and documentation (pikvm/kvmd, pikvm/pikvm, jetkvm/kvm,
//! tiny-pilot/tinypilot, sipeed/NanoKVM, ThomasVon2021/blikvm), and the reference EDID of Toshiba's TC358743 bridge,
//! which most of them capture with. A default with an identity of its own
//! is known by that; a preset that is a copy of a real monitor only by its whole base block, serial
//! number included, so that the model's other owners are left alone.

use super::Edid;

/// Presets that are copies of real monitors: SHA-256 of the base block, and whose they are.
const PRESETS: [(&str, &str); 3] = [
    ("6f5dc5e219d760b2f605dfa08bc8f506b65ce8cc46f0b3b92f2da923d8a8ad38", "JetKVM's Acer B246WL"),
    ("c2ebb00ef3a710d28bd68c6fc53bdfb3c93a4b11a93ff939a016fadd8e532367", "JetKVM's ASUS PA248QV"),
    ("8e8befa83b571c7fbcf1ef3b146ea38db246dfa672d188d4002836cc7fa6b824", "JetKVM's DELL D2721H"),
];

/// The IP-KVM whose own identity this is, as a trait.
pub fn identity(edid: &Edid) -> Option<&'static str> {
    let name = edid.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let says = |word: &str| name.contains(word);
    if says("pikvm") || (edid.manufacturer == "LNX" && (0x7770..=0x777f).contains(&edid.product)) {
        return Some("known_kvm:PiKVM");
    }
    if says("tinypilot") {
        return Some("known_kvm:TinyPilot");
    }
    if says("jetkvm") || says("t749-fhd") {
        return Some("known_kvm:JetKVM");
    }
    let others = [
        ("pi-kvm", "known_kvm:PiKVM"),
        ("nanokvm", "known_kvm:NanoKVM"),
        ("blikvm", "known_kvm:BliKVM"),
        ("glkvm", "known_kvm:GL.iNet"),
        ("openterface", "known_kvm:Openterface"),
        ("one-kvm", "known_kvm:One-KVM"),
        ("kvm-ip", "known_kvm:IP-KVM"),
        ("ip-kvm", "known_kvm:IP-KVM"),
        ("ipkvm", "known_kvm:IP-KVM"),
    ];
    others.into_iter().find(|(word, _)| says(word)).map(|(_, found)| found)
}

/// Whether this descends from the reference EDID of Toshiba's TC358743, an HDMI-to-camera bridge: maker and serial
/// number stay where firmware changes the rest.
pub fn is_bridge_reference(edid: &Edid) -> bool {
    edid.manufacturer == "TSB" && edid.serial_number == 0x8888_8800
}

/// Whether this is, byte for byte, a preset that an IP-KVM ships.
pub fn is_preset(edid: &Edid) -> bool {
    let hash = hex::encode(edid.sha256);
    PRESETS.iter().any(|(known, _)| *known == hash)
}
