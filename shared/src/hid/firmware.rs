//! Report descriptors that IP-KVMs' firmware imitates keyboards and mice with, byte for byte.
//!
//! Sources: pikvm/kvmd and gl-inet/glkvm, jetkvm/kvm, sipeed/NanoKVM, tiny-pilot/tinypilot, ThomasVon2021/blikvm,
//! mofeng-git/One-KVM, openbmc/obmc-ikvm. Of 393 descriptors of real devices one is among them, a keyboard.

use sha2::{Digest as _, Sha256};

use super::{MAX_DESCRIPTOR, item};

/// What a descriptor imitates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirmwarePart {
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

/// Whether keyboard and pointer are both an IP-KVM's firmware's, in one descriptor or several. One alone proves nothing: a
/// pen tablet of XP-Pen has TinyPilot's keyboard to the byte, because both took it from the same place.
pub fn is_firmware(descriptors: &[&[u8]]) -> bool {
    let parts: Vec<FirmwarePart> =
        descriptors.iter().flat_map(|descriptor| firmware_parts(descriptor)).collect();
    parts.contains(&FirmwarePart::Keyboard) && parts.contains(&FirmwarePart::Pointer)
}

/// What a report descriptor is in an IP-KVM's firmware, whole or by each of its applications: over Bluetooth, and on small
/// chips, keyboard and pointer stand in one descriptor and are told apart by numbers, which are left out here.
fn firmware_parts(descriptor: &[u8]) -> Vec<FirmwarePart> {
    if descriptor.is_empty() || descriptor.len() > MAX_DESCRIPTOR {
        return Vec::new();
    }
    let whole = part(descriptor);
    let applications = applications(descriptor);
    whole.into_iter().chain(applications.iter().filter_map(|application| part(application))).collect()
}

fn part(descriptor: &[u8]) -> Option<FirmwarePart> {
    let hash = hex::encode(&Sha256::digest(descriptor)[..8]);
    PARTS.iter().find(|(known, _)| *known == hash).map(|(_, part)| *part)
}

/// The descriptor's applications (collections that are in no other, with what stands before them), report numbers left out.
/// Ends where the descriptor is wrong.
fn applications(descriptor: &[u8]) -> Vec<Vec<u8>> {
    const REPORT_ID: u8 = 0x84;
    const COLLECTION: u8 = 0xa0;
    const END: u8 = 0xc0;
    let (mut found, mut current, mut depth, mut at) = (Vec::new(), Vec::new(), 0usize, 0);
    while let Some(&prefix) = descriptor.get(at) {
        let Ok((_, next)) = item(descriptor, at, prefix) else { break };
        if prefix & 0xfc != REPORT_ID {
            current.extend_from_slice(&descriptor[at..next]);
        }
        match prefix & 0xfc {
            COLLECTION => depth += 1,
            END if depth == 0 => break,
            END => {
                depth -= 1;
                if depth == 0 {
                    found.push(std::mem::take(&mut current));
                }
            }
            _ => {}
        }
        at = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// PiKVM's keyboard and relative mouse (pikvm/kvmd), and the number that a Bluetooth descriptor puts into each.
    const KEYBOARD: &str = "05010906a101050719e029e71500250175019508810295017508810395057501050819012905910295017503910395067508150025650507190029658100c0";

    #[test]
    fn applications_are_taken_apart_and_their_numbers_left_out() {
        let plain = hex::decode(KEYBOARD).unwrap();
        let numbered = hex::decode(KEYBOARD.replacen("a101", "a1018501", 1)).unwrap();
        let both = [numbered.as_slice(), numbered.as_slice()].concat();
        assert_eq!(applications(&both), [plain.clone(), plain]);
    }

    #[test]
    fn one_part_alone_is_no_firmware() {
        let keyboard = hex::decode(KEYBOARD).unwrap();
        assert!(!is_firmware(&[&keyboard]) && !is_firmware(&[]) && !is_firmware(&[&[]]));
    }

    #[test]
    fn a_descriptor_of_nothing_but_collections_takes_no_time() {
        let deep = [0xa1, 0x01].repeat(MAX_DESCRIPTOR / 2);
        assert!(applications(&deep).is_empty());
        let flat = [0xa1, 0x01, 0xc0].repeat(MAX_DESCRIPTOR / 3);
        assert_eq!(applications(&flat).len(), MAX_DESCRIPTOR / 3);
        assert!(firmware_parts(&vec![0xa1; 2_000_000]).is_empty(), "longer than any descriptor");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let parts: usize = applications(&bytes).iter().map(Vec::len).sum();
            prop_assert!(parts <= bytes.len());
            let _ = is_firmware(&[&bytes]);
        }
    }
}
