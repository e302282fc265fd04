//! The firmware's tables (SMBIOS): who built the machine and what it is called.
//!
//! Source: DMTF DSP0134, System Management BIOS Reference Specification 3.7, sections 6 and 7.

use std::fmt::Write as _;

/// Structures that are looked at; a table that has more lies.
const MOST: usize = 4096;
/// Longest string that is taken.
const LONGEST: usize = 256;
/// Bytes before the table in what Windows returns (`RawSMBIOSData`): calling method, version (2), revision,
/// length.
const RAW_HEADER: usize = 8;

/// What the tables say. Fillers such as "To be filled by O.E.M." are in it as they stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Smbios {
    /// System: manufacturer (type 1).
    pub vendor: Option<String>,
    /// System: product name.
    pub model: Option<String>,
    /// System: version; Lenovo puts the model's name here.
    pub version: Option<String>,
    /// System: serial number.
    pub serial: Option<String>,
    /// System: UUID as people write it; `None` where it is not set.
    pub uuid: Option<String>,
    /// Chassis: type (type 3), see [`chassis`].
    pub chassis_type: Option<u8>,
    /// Chassis: serial number.
    pub chassis_serial: Option<String>,
}

/// Reads what `GetSystemFirmwareTable('RSMB')` returns.
pub fn parse_raw(raw: &[u8]) -> Smbios {
    let Some(length) = raw.get(4..8).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes) else {
        return Smbios::default();
    };
    let table = &raw[RAW_HEADER.min(raw.len())..];
    parse(&table[..table.len().min(usize::try_from(length).unwrap_or(usize::MAX))])
}

/// Reads a table: structures one after the other, each followed by its strings.
pub fn parse(table: &[u8]) -> Smbios {
    let mut found = Smbios::default();
    let mut rest = table;
    for _ in 0..MOST {
        let Some((structure, strings, after)) = next(rest) else { break };
        let text = |offset: usize| string(strings, *structure.get(offset)?);
        match structure[0] {
            1 if found.vendor.is_none() && found.model.is_none() => {
                found.vendor = text(0x04);
                found.model = text(0x05);
                found.version = text(0x06);
                found.serial = text(0x07);
                found.uuid = structure.get(0x08..0x18).and_then(uuid);
            }
            3 if found.chassis_type.is_none() => {
                found.chassis_type = structure.get(0x05).map(|kind| kind & 0x7f);
                found.chassis_serial = text(0x07);
            }
            127 => break,
            _ => {}
        }
        rest = after;
    }
    found
}

/// A chassis type in a word; `guest` tells what a virtual machine's "other" means.
pub fn chassis(kind: u8, guest: bool) -> &'static str {
    match kind & 0x7f {
        3..=7 | 15 | 16 | 24 | 35 | 36 => "desktop",
        8..=10 | 14 => "laptop",
        11 => "handheld",
        13 => "all_in_one",
        17 | 23 | 25 | 28 | 29 => "server",
        30 => "tablet",
        31 => "convertible",
        32 => "detachable",
        33 | 34 => "embedded",
        _ if guest => "virtual",
        _ => "other",
    }
}

/// The first structure with its header, its strings, and what follows.
fn next(table: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let length = usize::from(*table.get(1)?);
    if length < 4 || table.len() < length {
        return None;
    }
    let (structure, rest) = table.split_at(length);
    // Two zeros end the strings; a structure without strings has just those.
    let end = rest.windows(2).position(|pair| pair == [0, 0]);
    let (strings, after) = match end {
        Some(end) => (&rest[..end], &rest[end + 2..]),
        None => (rest, &rest[rest.len()..]),
    };
    Some((structure, strings, after))
}

/// A string by its number, which counts from one; zero is none.
fn string(strings: &[u8], number: u8) -> Option<String> {
    let index = usize::from(number.checked_sub(1)?);
    let bytes = strings.split(|byte| *byte == 0).nth(index)?;
    let text: String = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)])
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The first three fields are little-endian (7.2.1); all zeros or all ones mean none.
fn uuid(bytes: &[u8]) -> Option<String> {
    if bytes.iter().all(|b| *b == 0) || bytes.iter().all(|b| *b == 0xff) {
        return None;
    }
    let mut text = String::new();
    for (place, index) in [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].into_iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{:02x}", bytes.get(index)?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Structures as a ThinkPad's firmware writes them: system (type 1), chassis (type 3), end (type 127).
    fn table() -> Vec<u8> {
        let mut table = vec![0, 4, 0, 0, 0, 0];
        table.extend([1, 27, 1, 0, 1, 2, 3, 4]);
        table.extend([0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99]);
        table.extend([0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
        table.extend([6, 0, 0]);
        table.extend(b"LENOVO\x0020XW0026GE\0ThinkPad X1 Carbon Gen 9\0PF3KJ1ZT\0\0");
        table.extend([3, 9, 2, 0, 1, 0x8a, 0, 2, 0]);
        table.extend(b"LENOVO\0PF3KJ1ZT\0\0");
        table.extend([127, 4, 3, 0, 0, 0]);
        table
    }

    #[test]
    fn a_thinkpad_says_who_built_it() {
        let raw =
            [&[0, 3, 3, 0][..], &u32::try_from(table().len()).unwrap().to_le_bytes(), &table()].concat();
        let found = parse_raw(&raw);
        assert_eq!(found.vendor.as_deref(), Some("LENOVO"));
        assert_eq!(found.model.as_deref(), Some("20XW0026GE"));
        assert_eq!(found.version.as_deref(), Some("ThinkPad X1 Carbon Gen 9"));
        assert_eq!(found.serial.as_deref(), Some("PF3KJ1ZT"));
        assert_eq!(found.uuid.as_deref(), Some("00112233-4455-6677-8899-aabbccddeeff"));
        assert_eq!(found.chassis_type.map(|kind| chassis(kind, false)), Some("laptop"));
        assert_eq!(found, parse(&table()));
    }

    #[test]
    fn a_table_that_ends_early_says_what_it_said_before() {
        let whole = table();
        for length in 0..whole.len() {
            let found = parse(&whole[..length]);
            assert!(found.serial.is_none() || found.vendor.is_some(), "{length}");
        }
        assert_eq!(parse(&[1, 0, 0, 0]), Smbios::default(), "a structure of no length ends it");
    }

    proptest! {
        #[test]
        fn junk_is_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let found = parse_raw(&bytes);
            let texts = [found.vendor, found.model, found.version, found.serial, found.chassis_serial];
            for text in texts.into_iter().flatten() {
                prop_assert!(!text.contains(char::is_control) && !text.is_empty());
            }
        }
    }
}
