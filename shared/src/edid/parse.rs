//! Reading an EDID's bytes.

use sha2::{Digest as _, Sha256};

use super::displayid::{self, DisplayId};

/// Longest EDID: the base block and 254 extensions (the count is one byte, and 255 × 128 = 32,640).
pub const MAX_LENGTH: usize = 255 * BLOCK;
const BLOCK: usize = 128;
/// Tag of `DisplayID`'s extension blocks.
const DISPLAY_ID: u8 = 0x70;
const MAGIC: [u8; 8] = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];

/// Bytes that are no EDID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEdid {
    /// Nothing: a connector without a monitor, or one that does not answer.
    #[error("the EDID is empty")]
    Empty,
    /// Less than the base block.
    #[error("the EDID has {0} bytes; the base block alone has {BLOCK}")]
    TooShort(usize),
    /// More than an EDID can have.
    #[error("the EDID has {0} bytes; the longest possible has {MAX_LENGTH}")]
    TooLong(usize),
    /// It does not begin as an EDID does.
    #[error("not an EDID: it does not begin with 00 ff ff ff ff ff ff 00")]
    NoHeader,
}

/// An EDID, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edid {
    /// Three letters of the PNP registry; `?` for a code that is no letter.
    pub manufacturer: String,
    /// Product code.
    pub product: u16,
    /// Serial number of the base block; 0 for none.
    pub serial_number: u32,
    /// Serial number in a text descriptor.
    pub serial_text: Option<String>,
    /// Name in a text descriptor.
    pub name: Option<String>,
    /// Free text in descriptors.
    pub texts: Vec<String>,
    /// Week of manufacture as it stands: 1 to 54, 0 for none, 255 where the year is the model's.
    pub week: u8,
    /// Year of manufacture or of the model.
    pub year: Option<u16>,
    /// Version and revision of EDID that it claims.
    pub version: (u8, u8),
    /// Digital input.
    pub digital: bool,
    /// Width of the picture in millimetres, by the detailed timing where it agrees with the base block's
    /// centimetres; 0 if it does not say.
    pub width_mm: u16,
    /// Height, likewise.
    pub height_mm: u16,
    /// Preferred mode: width and height in pixels; that of `DisplayID` where the base block has none.
    pub preferred: Option<(u16, u16)>,
    /// What its first `DisplayID` extension says.
    pub displayid: Option<DisplayId>,
    /// What each block after the first is.
    pub extensions: Vec<Extension>,
    /// How many extensions the base block announces.
    pub announced_extensions: u8,
    /// The base block's bytes sum to 0.
    pub checksum_ok: bool,
    /// The sums of all extensions that have one are right.
    pub extension_checksums_ok: bool,
    /// Bytes after the last whole block.
    pub trailing_bytes: usize,
    /// SHA-256 of the base block: the whole identity, serial number included.
    pub sha256: [u8; 32],
    /// SHA-256 of the base block without what names it: without maker, product, serial number, date, texts, count of
    /// extensions and checksum.
    pub template: [u8; 32],
    /// SHA-256 of the first extension without its checksum.
    pub first_extension: Option<[u8; 32]>,
}

/// Kinds of extension blocks, by their tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// CTA-861: televisions, HDMI.
    Cta {
        /// Its revision.
        revision: u8,
        /// It has HDMI's vendor block.
        hdmi: bool,
        /// It takes sound.
        audio: bool,
    },
    /// DisplayID.
    DisplayId,
    /// Any other, by its tag.
    Other(u8),
}

/// Reads an EDID. Whatever is wrong past the header is no error: monitors are wrong every day.
pub fn parse(bytes: &[u8]) -> Result<Edid, BadEdid> {
    match bytes.len() {
        0 => return Err(BadEdid::Empty),
        short if short < BLOCK => return Err(BadEdid::TooShort(short)),
        long if long > MAX_LENGTH => return Err(BadEdid::TooLong(long)),
        _ => {}
    }
    let (base, rest) = bytes.split_at(BLOCK);
    if base[..8] != MAGIC {
        return Err(BadEdid::NoHeader);
    }
    let blocks: Vec<&[u8]> = rest.chunks_exact(BLOCK).collect();
    let mut edid = Edid {
        manufacturer: manufacturer(u16::from_be_bytes([base[8], base[9]])),
        product: u16::from_le_bytes([base[10], base[11]]),
        serial_number: u32::from_le_bytes([base[12], base[13], base[14], base[15]]),
        week: base[16],
        year: (base[17] != 0).then(|| 1990 + u16::from(base[17])),
        version: (base[18], base[19]),
        digital: base[20] & 0x80 != 0,
        extensions: blocks.iter().map(|block| extension(block)).collect(),
        announced_extensions: base[126],
        checksum_ok: sums_to_zero(base),
        extension_checksums_ok: blocks.iter().all(|block| sums_to_zero(block)),
        trailing_bytes: rest.len() % BLOCK,
        sha256: Sha256::digest(base).into(),
        template: template(base),
        first_extension: blocks.first().map(|block| Sha256::digest(&block[..BLOCK - 1]).into()),
        ..Edid::default()
    };
    for descriptor in base[54..126].chunks_exact(18) {
        take_descriptor(&mut edid, descriptor);
    }
    take_size(&mut edid, base);
    if let Some(block) = blocks.iter().find(|block| block[0] == DISPLAY_ID) {
        take_displayid(&mut edid, displayid::parse(&block[1..BLOCK - 1]));
    }
    Ok(edid)
}

impl Edid {
    /// The pixels of the whole screen: all tiles of one that is driven in pieces, the panel's own by `DisplayID`, else the
    /// preferred mode.
    pub fn native(&self) -> Option<(u16, u16)> {
        let said = self.displayid.as_ref();
        let tiles = said.and_then(|said| said.tiles).filter(|tiles| tiles.columns > 1 || tiles.rows > 1);
        let whole = tiles.map(|tiles| {
            (tiles.tile.0.saturating_mul(tiles.columns), tiles.tile.1.saturating_mul(tiles.rows))
        });
        whole.or_else(|| said?.native).or(self.preferred)
    }
}

/// What a base block says of the picture: version, input, size, colours, timings, limits.
fn template(base: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&base[18..54]);
    for descriptor in base[54..126].chunks_exact(18) {
        let names = descriptor[..2] == [0, 0] && matches!(descriptor[3], 0xff | 0xfc | 0xfe | 0x10);
        if !names {
            hash.update(descriptor);
        }
    }
    hash.finalize().into()
}

fn sums_to_zero(block: &[u8]) -> bool {
    block.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// Three letters of five bits each, `A` is 1.
fn manufacturer(code: u16) -> String {
    let letter = |shift: u32| match (code >> shift & 31) as u8 {
        n @ 1..=26 => char::from(b'A' + n - 1),
        _ => '?',
    };
    [letter(10), letter(5), letter(0)].iter().collect()
}

/// One of the four 18-byte descriptors: a detailed timing, or a text.
fn take_descriptor(edid: &mut Edid, bytes: &[u8]) {
    if bytes[0] != 0 || bytes[1] != 0 {
        if edid.preferred.is_none() {
            let pixels = |low: u8, high: u8| u16::from(low) | u16::from(high >> 4) << 8;
            edid.preferred = Some((pixels(bytes[2], bytes[4]), pixels(bytes[5], bytes[7])));
            edid.width_mm = u16::from(bytes[12]) | u16::from(bytes[14] >> 4) << 8;
            edid.height_mm = u16::from(bytes[13]) | u16::from(bytes[14] & 15) << 8;
        }
        return;
    }
    match bytes[3] {
        0xff => edid.serial_text = edid.serial_text.take().or_else(|| text(&bytes[5..])),
        0xfc => edid.name = edid.name.take().or_else(|| text(&bytes[5..])),
        0xfe => edid.texts.extend(text(&bytes[5..])),
        _ => {}
    }
}

/// A descriptor's text: to the first line feed or zero, printable ASCII, no blanks around it.
fn text(bytes: &[u8]) -> Option<String> {
    let kept = bytes.iter().take_while(|b| **b != b'\n' && **b != 0);
    let kept: String = kept.map(|b| if (b' '..=b'~').contains(b) { char::from(*b) } else { '?' }).collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// The picture's size. The detailed timing has millimetres, but many monitors leave an aspect ratio or
/// nonsense there: it counts only where it fits the base block's centimetres.
fn take_size(edid: &mut Edid, base: &[u8]) {
    let (width, height) = (u16::from(base[21]) * 10, u16::from(base[22]) * 10);
    let fits = |mm: u16, rounded: u16| mm.abs_diff(rounded) <= 10;
    // With one of the two zero, they are an aspect ratio (EDID 1.4) or nothing.
    if width == 0 || height == 0 {
        return;
    }
    if !(fits(edid.width_mm, width) && fits(edid.height_mm, height)) {
        (edid.width_mm, edid.height_mm) = (width, height);
    }
}

/// The size to a tenth of a millimetre where the base block says none, or the same to the centimetre; a timing where it
/// has none.
fn take_displayid(edid: &mut Edid, said: DisplayId) {
    let millimetres = |tenths: u32| u16::try_from((tenths + 5) / 10).unwrap_or(u16::MAX);
    if let Some((width, height)) = said.size.map(|(w, h)| (millimetres(w), millimetres(h))) {
        let unknown = edid.width_mm == 0 || edid.height_mm == 0;
        let fits = width.abs_diff(edid.width_mm) <= 10 && height.abs_diff(edid.height_mm) <= 10;
        if unknown || fits {
            (edid.width_mm, edid.height_mm) = (width, height);
        }
    }
    edid.preferred = edid.preferred.or(said.preferred).or(said.native);
    edid.displayid = Some(said);
}

fn extension(block: &[u8]) -> Extension {
    match block[0] {
        0x02 => {
            let end = usize::from(block[2]).clamp(4, BLOCK - 1);
            let hdmi =
                data_blocks(&block[4..end]).any(|(tag, data)| tag == 3 && data.starts_with(&[3, 12, 0]));
            Extension::Cta { revision: block[1], hdmi, audio: block[3] & 0x40 != 0 }
        }
        DISPLAY_ID => Extension::DisplayId,
        tag => Extension::Other(tag),
    }
}

/// CTA-861 data blocks as (tag, payload); ends at the first that does not fit.
fn data_blocks(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_first()?;
        let length = usize::from(head & 31);
        let payload = tail.get(..length)?;
        rest = &tail[length..];
        Some((head >> 5, payload))
    })
}
