//! Reading a USB device's raw descriptors (USB 2.0 § 9.6, HID 1.11 § 6.2.1): as Linux shows them in sysfs' `descriptors`
//! and as other systems return them.
//!
//! Own reader: it wants one number an interface, of bytes that a stranger's device sends, and a crate that opens
//! devices would be a dependency for a loop of ten lines. A descriptor's length moves it on by at least two bytes, so it
//! ends after as many steps as there are bytes, and keeps one entry an interface at most.

/// Most bytes that are read: a device descriptor, and as much as the 16-bit length of configurations can say.
pub const MAX_LENGTH: usize = 18 + 65_535;

const INTERFACE: u8 = 0x04;
const HID: u8 = 0x21;

/// The version of HID that each interface claims (`bcdHID`), by the interface's number. What is cut off or wrong ends
/// the reading, and what came before counts.
pub fn hid_versions(descriptors: &[u8]) -> Vec<(u8, u16)> {
    let mut rest = &descriptors[..descriptors.len().min(MAX_LENGTH)];
    let mut interface = None;
    let mut found: Vec<(u8, u16)> = Vec::new();
    while let [length, kind, ..] = *rest {
        let length = usize::from(length);
        let Some(descriptor) = rest.get(..length).filter(|_| length >= 2) else { break };
        match (kind, descriptor) {
            (INTERFACE, [_, _, number, ..]) => interface = Some(*number),
            (HID, [_, _, low, high, ..]) => {
                if let Some(number) = interface.take() {
                    found.push((number, u16::from_le_bytes([*low, *high])));
                }
            }
            _ => {}
        }
        rest = &rest[length..];
    }
    found.sort_by_key(|(number, _)| *number);
    found.dedup_by_key(|(number, _)| *number);
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Device and configuration of a PiKVM on Linux' dummy_hcd: keyboard, absolute mouse, storage.
    const PIKVM: &str = "12010002000000406b1d04010001010203 01 0902 5300 03 01 04 a0fa \
        0904 0000 01 03 01 01 05 0921 0101 00 01 22 4100 0705 8103 0800 04 \
        0904 0100 01 03 00 00 06 0921 0101 00 01 22 3a00 0705 8203 0600 04 \
        0904 0200 02 08 06 50 07 0705 8302 0002 00 0705 0102 0002 00";

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex.replace(|c: char| c.is_whitespace(), "")).unwrap()
    }

    #[test]
    fn each_hid_interface_of_a_pikvm_says_its_version() {
        assert_eq!(hid_versions(&bytes(PIKVM)), [(0, 0x0101), (1, 0x0101)]);
    }

    #[test]
    fn what_is_cut_off_counts_up_to_there() {
        let all = bytes(PIKVM);
        for length in 0..all.len() {
            let found = hid_versions(&all[..length]);
            assert!([(0, 0x0101), (1, 0x0101)].starts_with(&found), "{length} bytes: {found:?}");
        }
    }

    #[test]
    fn a_length_of_zero_ends_it_and_a_million_descriptors_take_no_time() {
        assert_eq!(hid_versions(&[0; 100]), []);
        let endless: Vec<u8> = [2, HID].into_iter().cycle().take(2_000_000).collect();
        assert_eq!(hid_versions(&endless), []);
        let interfaces: Vec<u8> = bytes("0904 0000 01 03 01 01 05 0921 0101 00 01 22 4100").repeat(100_000);
        assert_eq!(hid_versions(&interfaces), [(0, 0x0101)]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(junk in prop::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(hid_versions(&junk).len() <= 256);
        }

        #[test]
        fn no_wrong_byte_in_real_descriptors_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut descriptors = bytes(PIKVM);
            let index = at.index(descriptors.len());
            descriptors[index] = byte;
            prop_assert!(hid_versions(&descriptors).len() <= 256);
        }
    }
}
