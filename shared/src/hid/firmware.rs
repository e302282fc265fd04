//! Report descriptors that IP-KVMs' firmware imitates keyboards and mice with, byte for byte.
//!
//! Sources: pikvm/kvmd and gl-inet/glkvm, jetkvm/kvm, sipeed/NanoKVM, tiny-pilot/tinypilot, ThomasVon2021/blikvm,
//! mofeng-git/One-KVM, openbmc/obmc-ikvm. Of 393 descriptors of real devices one is among them, a keyboard.

use sha2::{Digest as _, Sha256};

/// What a descriptor imitates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirmwarePart {
    /// A keyboard.
    Keyboard,
    /// A mouse, absolute or relative.
    Pointer,
}

/// First eight bytes of the descriptor's SHA-256, in hexadecimal.
const PARTS: [(&str, FirmwarePart); 18] = [
    ("81c9b5a7d7ecf4b9", FirmwarePart::Keyboard), // JetKVM, NanoKVM, OpenBMC: the kernel's documentation
    ("bba88cf2c2245cf8", FirmwarePart::Keyboard), // NanoKVM
    ("5333cc3a23db1dd7", FirmwarePart::Keyboard), // PiKVM, GL.iNet, One-KVM
    ("3ff35a2908d55c14", FirmwarePart::Keyboard), // TinyPilot, BliKVM; a pen tablet of XP-Pen
    ("9db07ce5eef32aa9", FirmwarePart::Keyboard), // One-KVM
    ("d9b93f5aa0cb2ab2", FirmwarePart::Pointer),  // PiKVM, GL.iNet: absolute
    ("3a71a5a23705ee80", FirmwarePart::Pointer),  // PiKVM: absolute, two wheels
    ("55c045b2daf5c91f", FirmwarePart::Pointer),  // PiKVM, GL.iNet, JetKVM: relative
    ("92155ddf022d4091", FirmwarePart::Pointer),  // PiKVM: relative, two wheels
    ("5e10a7f6cc69f217", FirmwarePart::Pointer),  // JetKVM: absolute
    ("0eab8b0c15825160", FirmwarePart::Pointer),  // TinyPilot, BliKVM: absolute
    ("ed2b0d7e283a431e", FirmwarePart::Pointer),  // BliKVM: relative
    ("8aab9edd8276e0aa", FirmwarePart::Pointer),  // NanoKVM: relative
    ("406e9a7433451eed", FirmwarePart::Pointer),  // NanoKVM: absolute
    ("4f5ed1a140900eb7", FirmwarePart::Pointer),  // NanoKVM: absolute
    ("2a07928233cc071e", FirmwarePart::Pointer),  // OpenBMC: absolute
    ("29971c6463ad5797", FirmwarePart::Pointer),  // One-KVM: absolute
    ("9d23161044df07fd", FirmwarePart::Pointer),  // One-KVM: relative
];

/// What a report descriptor is in an IP-KVM's firmware; `None` if it is in none.
pub fn firmware_part(descriptor: &[u8]) -> Option<FirmwarePart> {
    let hash = hex::encode(&Sha256::digest(descriptor)[..8]);
    PARTS.iter().find(|(known, _)| *known == hash).map(|(_, part)| *part)
}
