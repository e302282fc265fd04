//! EDIDs of IP-KVMs under another name.
//!
//! Tools that edit an IP-KVM's EDID (`kvmd-edidconf`, hex editors) change what people read: maker, model, serial number,
//! name, date. Timings, colours, size and extension stay, because they say what the capture chip can take. Their hash
//! is the template: of 7,135 real monitors (linuxhw/EDID, one in twenty) none shares one.
//!
//! The sources are those of [`super::known`]. Presets that copy a real monitor have that monitor's template and are not
//! here.

use super::Edid;

/// Templates of base blocks: first eight bytes of the SHA-256, and whose they are as a trait.
const BASES: [(&str, &str); 10] = [
    ("e53d7e50a15db97a", "kvm_template:PiKVM"),     // v0 to v3
    ("666d0bac7494819c", "kvm_template:PiKVM"),     // v4mini, v4plus, without 1920x1200
    ("dc2c90177129c57b", "kvm_template:PiKVM"),     // 1920x1080 by default
    ("455a6382e54571c7", "kvm_template:PiKVM"),     // its documentation: 1280x1024
    ("c2cf1e03fd1477de", "kvm_template:PiKVM"),     // its documentation: 1920x1080
    ("20d806db80527b06", "kvm_template:PiKVM"),     // its documentation: 1680x1050
    ("cfc0b8aa6e91704c", "kvm_template:JetKVM"),    // default, also since it is named JetKVM
    ("b576350d5d417250", "kvm_template:TinyPilot"), // Raspberry Pi 4
    ("229a938af9de034b", "kvm_template:NanoKVM"),   // E21
    ("670c8e4d8ea707ce", "kvm_template:BliKVM"),    // default, the reference of Toshiba's TC358743
];

/// Extension blocks, their checksum left out.
const EXTENSIONS: [(&str, &str); 9] = [
    ("543bf6bf6080d7b0", "kvm_template:PiKVM"),     // v0 to v3
    ("9d44f3d3b3dcbddb", "kvm_template:PiKVM"),     // v4mini, v4plus
    ("0d7e786f392db34c", "kvm_template:PiKVM"),     // 1920x1080 by default
    ("335120deaf9a6394", "kvm_template:PiKVM"),     // without 1920x1200
    ("4cf09b7e9927c250", "kvm_template:PiKVM"),     // its documentation
    ("a2f3e0dd2d143dd5", "kvm_template:TinyPilot"), // Raspberry Pi 4
    ("7b5900ef765a6438", "kvm_template:NanoKVM"),   // E21
    ("82c704160c6498d8", "kvm_template:BliKVM"),    // default
    ("e778deb6e7864d33", "kvm_template:GL.iNet"),   // appended to whatever base block its user sets
];

/// The IP-KVM whose template this is, as a trait.
pub fn template(edid: &Edid) -> Option<&'static str> {
    let base = hex::encode(&edid.template[..8]);
    let extension = edid.first_extension.map(|hash| hex::encode(&hash[..8]));
    let of_base = BASES.iter().find(|(known, _)| *known == base);
    let of_extension = EXTENSIONS.iter().find(|(known, _)| extension.as_deref() == Some(known));
    of_base.or(of_extension).map(|(_, found)| *found)
}
