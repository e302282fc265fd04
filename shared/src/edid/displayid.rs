//! DisplayID 1.2 to 2.1 (VESA), as an EDID's extension block 0x70 carries it.
//!
//! Own reader: the crates that know DisplayID print it or write it, and this wants five numbers of bytes that a stranger's
//! monitor sends. Every data block moves the reading on by at least its three bytes of head, so it ends within a section.

/// What a section says, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DisplayId {
    /// Version and revision: `0x12`, `0x13`, `0x20`.
    pub version: u8,
    /// Maker's three letters and product code, of a product identification of version 1; version 2 has an IEEE number
    /// there.
    pub product: Option<(String, u16)>,
    /// The picture's size in tenths of a millimetre.
    pub size: Option<(u32, u32)>,
    /// The panel's own pixels.
    pub native: Option<(u16, u16)>,
    /// The preferred timing (type I or VII): pixels.
    pub preferred: Option<(u16, u16)>,
    /// It is one of a screen's tiles: columns and rows of tiles, and the pixels of one.
    pub tiles: Option<Tiles>,
}

/// How a screen that is driven in several pieces is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiles {
    /// Tiles side by side.
    pub columns: u16,
    /// Tiles one above the other.
    pub rows: u16,
    /// Pixels of one tile.
    pub tile: (u16, u16),
}

/// Bytes before a section's data blocks: version, length, product type, count of extensions.
const HEAD: usize = 4;

/// Reads the section in an extension block, its tag left out. What is cut off or wrong ends the reading, and what came
/// before counts.
pub fn parse(section: &[u8]) -> DisplayId {
    let [version, length, _, _, ..] = *section else { return DisplayId::default() };
    let mut found = DisplayId { version, ..DisplayId::default() };
    let end = (HEAD + usize::from(length)).min(section.len());
    let mut rest = &section[HEAD..end];
    while let [tag, flags, length, ..] = *rest {
        let length = usize::from(length);
        // Zeros after the last data block are padding.
        let Some(data) = rest.get(3..3 + length).filter(|_| (tag, length) != (0, 0)) else { break };
        found.take(tag, flags, data);
        rest = &rest[3 + length..];
    }
    found
}

impl DisplayId {
    fn take(&mut self, tag: u8, flags: u8, data: &[u8]) {
        match tag {
            0x00 => self.product = self.product.take().or_else(|| product(data)),
            0x01 => self.parameters(data, 1),
            // Version 2 may count in whole millimetres.
            0x21 => self.parameters(data, if flags & 0x80 == 0 { 1 } else { 10 }),
            0x03 => self.timings(data, 20),
            // The revision's middle bits say by how many bytes a timing is longer.
            0x22 => self.timings(data, 20 + usize::from(flags >> 4 & 7)),
            0x12 | 0x28 => self.tiles = self.tiles.or_else(|| tiles(data)),
            _ => {}
        }
    }

    fn parameters(&mut self, data: &[u8], tenths: u32) {
        let Some((width, height)) = pair(data, 0) else { return };
        if width > 0 && height > 0 {
            self.size = self.size.or(Some((u32::from(width) * tenths, u32::from(height) * tenths)));
        }
        self.native = self.native.or_else(|| pair(data, 4).filter(|(w, h)| *w > 0 && *h > 0));
    }

    /// The timing that is marked as preferred, else the first.
    fn timings(&mut self, data: &[u8], length: usize) {
        const PREFERRED: u8 = 0x80;
        let pixels = |timing: &[u8]| {
            let one_more = |at: usize| Some(word(timing, at)?.saturating_add(1));
            Some((one_more(4)?, one_more(12)?))
        };
        let all = || data.chunks_exact(length);
        let marked = all().find(|timing| timing[3] & PREFERRED != 0);
        self.preferred = self.preferred.or_else(|| pixels(marked.or_else(|| all().next())?));
    }
}

/// Three letters, then a code.
fn product(data: &[u8]) -> Option<(String, u16)> {
    let letters = data.get(..3)?;
    let named = letters.iter().all(u8::is_ascii_uppercase);
    named.then_some(())?;
    Some((letters.iter().map(|letter| char::from(*letter)).collect(), word(data, 3)?))
}

/// Counts less one: four bits of each in the second byte, two more in the fourth; pixels less one follow.
fn tiles(data: &[u8]) -> Option<Tiles> {
    let (low, high) = (*data.get(1)?, *data.get(3)?);
    let (width, height) = pair(data, 4)?;
    Some(Tiles {
        columns: u16::from(low >> 4 | high >> 2 & 0x30) + 1,
        rows: u16::from(low & 0x0f | high & 0x30) + 1,
        tile: (width.saturating_add(1), height.saturating_add(1)),
    })
}

fn pair(data: &[u8], at: usize) -> Option<(u16, u16)> {
    Some((word(data, at)?, word(data, at + 2)?))
}

fn word(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes([*data.get(at)?, *data.get(at + 1)?]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A section of data blocks: tag, flags, payload in hex.
    fn section(version: u8, blocks: &[(u8, u8, &str)]) -> Vec<u8> {
        let mut data = Vec::new();
        for (tag, flags, payload) in blocks {
            let payload = hex::decode(payload.replace(' ', "")).unwrap();
            data.extend([*tag, *flags, u8::try_from(payload.len()).unwrap()]);
            data.extend(payload);
        }
        let mut section = vec![version, u8::try_from(data.len()).unwrap(), 3, 0];
        section.extend(data);
        section.resize(126, 0);
        section
    }

    #[test]
    fn a_wide_monitor_says_its_size_and_its_pixels() {
        // A Dell of linuxhw/EDID (DELA107): 1198.1 mm by 337.0 mm, 5120 by 1440.
        let found = parse(&section(0x12, &[(0x01, 0, "cd2e 2a0d 0014 a005 7805 7702")]));
        assert_eq!((found.size, found.native), (Some((11_981, 3_370)), Some((5120, 1440))));
    }

    #[test]
    fn a_headset_of_version_2_counts_in_tenths_unless_it_says_millimetres() {
        let tenths = parse(&section(0x20, &[(0x21, 0, "b80b d007 300c 2008")]));
        assert_eq!((tenths.size, tenths.native), (Some((3_000, 2_000)), Some((3120, 2080))));
        let whole = parse(&section(0x20, &[(0x21, 0x80, "2c01 c800 300c 2008")]));
        assert_eq!(whole.size, tenths.size);
    }

    #[test]
    fn the_timing_that_is_preferred_counts_and_else_the_first() {
        let timing = |options: &str, width: &str, height: &str| {
            format!("ffffff {options} {width} 0000 0000 0000 {height} 0000 0000 0000")
        };
        let (plain, preferred) = (timing("08", "7f07", "3704"), timing("88", "ff13", "9f05"));
        for (tag, version) in [(0x03, 0x13), (0x22, 0x20)] {
            let of = |text: &str| parse(&section(version, &[(tag, 0, text)])).preferred;
            assert_eq!(of(&format!("{plain}{preferred}")), Some((5120, 1440)));
            assert_eq!(of(&plain), Some((1920, 1080)));
        }
    }

    #[test]
    fn a_tiled_monitor_says_how_many_tiles_it_has() {
        // Dell UP2715K: two of 2560 by 2880.
        let found = parse(&section(0x12, &[(0x12, 0, "82 10 00 00 ff09 3f0b 00 00 00 00 00")]));
        assert_eq!(found.tiles, Some(Tiles { columns: 2, rows: 1, tile: (2560, 2880) }));
    }

    #[test]
    fn a_product_of_version_1_names_its_maker_in_letters() {
        let found = parse(&section(0x13, &[(0x00, 0, "44454c 1320 01000000 01 20 00")]));
        assert_eq!(found.product, Some(("DEL".to_owned(), 0x2013)));
        let number = parse(&section(0x20, &[(0x20, 0, "848a59 2114 873e7e19 0c 22 00")]));
        assert_eq!(number.product, None, "version 2 has an IEEE number there");
    }

    #[test]
    fn what_is_cut_off_or_says_a_length_that_is_not_there_ends_the_reading() {
        assert_eq!(parse(&[]), DisplayId::default());
        let whole = section(0x12, &[(0x01, 0, "cd2e 2a0d 0014 a005"), (0x12, 0, "82 10 00 00 ff09 3f0b")]);
        for length in 0..whole.len() {
            let _ = parse(&whole[..length]);
        }
        let lies = [0x12, 0xff, 0, 0, 0x01, 0, 0xff, 1, 2, 3];
        assert_eq!(parse(&lies), DisplayId { version: 0x12, ..DisplayId::default() });
    }

    #[test]
    fn a_million_empty_blocks_take_no_time() {
        let mut endless = vec![0x20, 0xff, 0, 0];
        endless.extend([0x7f, 0, 0].into_iter().cycle().take(3_000_000));
        assert_eq!(parse(&endless), DisplayId { version: 0x20, ..DisplayId::default() });
    }

    proptest! {
        #[test]
        fn no_bytes_panic(junk in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&junk);
        }

        #[test]
        fn no_data_block_panics(version in any::<u8>(), tag in 0u8..0x30, flags in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..110)) {
            let found = parse(&section(version, &[(tag, flags, &hex::encode(data))]));
            if let Some(tiles) = found.tiles {
                prop_assert!((1..=64).contains(&tiles.columns) && (1..=64).contains(&tiles.rows));
            }
        }
    }
}
