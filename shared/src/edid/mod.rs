//! What an EDID says (VESA E-EDID 1.4, CTA-861, DisplayID): identity, sizes, and what tells the EDID of an
//! IP-KVM, a capture chip or a virtual screen from a monitor's.
//!
//! A small reader of our own: the input is whatever somebody plugs in, so every read is bounded, nothing but
//! a missing base block is an error, and what is wrong is a trait.

mod contradiction;
mod displayid;
mod known;
mod parse;
mod traits;

pub use displayid::{DisplayId, Tiles};
pub use parse::{BadEdid, Edid, Extension, MAX_LENGTH, parse};
pub use traits::traits;

use crate::facts::EdidFacts;
use crate::id::HashKey;

/// The fact that leaves the laptop: the serial number hashed, everything else as it says.
pub fn facts(bytes: &[u8], key: &HashKey) -> Result<EdidFacts, BadEdid> {
    Ok(facts_of(parse(bytes)?, key))
}

/// The fact of an EDID of which only the contents are known: macOS on Apple silicon hands out no bytes.
pub fn facts_of(edid: Edid, key: &HashKey) -> EdidFacts {
    let traits = traits(&edid);
    let serial = traits::serial(&edid).map(|serial| {
        key.hash("edid_serial", &format!("{}:{:04x}:{serial}", edid.manufacturer, edid.product))
    });
    EdidFacts {
        serial,
        traits,
        model: edid.name,
        year: edid.year,
        manufacturer: edid.manufacturer,
        product: edid.product,
        width_mm: edid.width_mm,
        height_mm: edid.height_mm,
        preferred: edid.preferred,
    }
}

#[cfg(test)]
mod tests;
