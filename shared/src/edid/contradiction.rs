//! Where an EDID contradicts itself, as one does in which only what people read was changed.
//!
//! Looked for in 5,312 real monitors of 138 makers (linuxhw/EDID, the makers that the scoreboard does not hold out), kept only
//! where none of them has it, and then held against 1,828 of 158 other makers. That took one: a brand's name under another
//! maker's code, which a scaler's board and an all-in-one computer have there. Not kept from the start, because real monitors do it every day: names that are not padded as the
//! standard says (167), two names (121), two equal timings (24), pixels that are not square (27), no size (7, and every
//! second television), more blocks than announced (dumps end in zeros), an analogue input on a digital socket
//! (converters), CTA-861's list of modes, sound and HDMI's vendor block (whatever a capture chip has, some television has).

use super::Edid;

/// A brand, and how its models' names say the diagonal in inches: prefix, so many letters, so many digits, of which the
/// first two are the inches.
struct Brand {
    makers: &'static [&'static str],
    prefix: &'static str,
    letters: std::ops::RangeInclusive<usize>,
    digits: usize,
}

const fn brand(
    makers: &'static [&'static str],
    prefix: &'static str,
    letters: std::ops::RangeInclusive<usize>,
    digits: usize,
) -> Brand {
    Brand { makers, prefix, letters, digits }
}

/// Of 1,489 monitors that these fit, the picture's diagonal is at most 2.0 inches off; the last five brands were not looked at
/// and have 185 more. LG's names do not hold to it.
const BRANDS: [Brand; 16] = [
    brand(&["DEL"], "DELL ", 1..=3, 4),
    brand(&["HPN", "HWP"], "HP ", 1..=1, 2),
    brand(&["LEN"], "LEN ", 1..=1, 2),
    brand(&["ACI", "AUS"], "ASUS ", 2..=2, 2),
    brand(&["PHL"], "PHL ", 0..=0, 3),
    brand(&["IVM"], "PL", 0..=1, 4),
    brand(&["ENC"], "EV", 0..=0, 4),
    brand(&["ENC"], "CS", 0..=0, 4),
    brand(&["ENC"], "CG", 0..=0, 4),
    brand(&["SAM"], "S", 0..=0, 2),
    brand(&["MSI"], "MSI ", 1..=3, 2),
    brand(&["ACR"], "B", 0..=0, 3),
    brand(&["ACR"], "V", 0..=0, 3),
    brand(&["VSC"], "V", 1..=1, 4),
    brand(&["NEC"], "EA", 0..=0, 3),
    brand(&["BNQ"], "BenQ GW", 0..=0, 4),
];

/// Inches by which a name and a picture may differ.
const TOLERANCE: f64 = 3.0;

/// Makers of computer monitors, no televisions: their pixels are between 0.07 and 0.6 mm wide.
const MONITOR_MAKERS: [&str; 10] = ["DEL", "HWP", "HPN", "LEN", "ACI", "AUS", "IVM", "ENC", "AOC", "MSI"];
/// Pixels a millimetre that none of them has: 4K on 14 inches, a portable screen, has 12.4.
const TOO_DENSE: f64 = 14.0;
const TOO_COARSE: f64 = 1.0;

/// Its model's name says another diagonal, or another resolution, than its picture has.
pub fn model_misfits(edid: &Edid) -> bool {
    edid.digital && (inches_misfit(edid) || resolution_misfits(edid))
}

/// Base block and `DisplayID` name different products.
pub fn displayid_misfits(edid: &Edid) -> bool {
    let product = edid.displayid.as_ref().and_then(|displayid| displayid.product.as_ref());
    product.is_some_and(|(maker, code)| *maker != edid.manufacturer || *code != edid.product)
}

/// Its pixels are smaller or larger than a computer monitor's can be.
pub fn has_impossible_density(edid: &Edid) -> bool {
    let Some((pixels, _)) = edid.native() else { return false };
    let is_monitor = edid.digital && MONITOR_MAKERS.contains(&edid.manufacturer.as_str());
    if !is_monitor || edid.width_mm == 0 {
        return false;
    }
    !(TOO_COARSE..=TOO_DENSE).contains(&(f64::from(pixels) / f64::from(edid.width_mm)))
}

fn inches_misfit(edid: &Edid) -> bool {
    let name = edid.name.as_deref().unwrap_or_default();
    let of_maker = BRANDS.iter().filter(|brand| brand.makers.contains(&edid.manufacturer.as_str()));
    let Some(inches) = of_maker.into_iter().find_map(|brand| brand.inches(name)) else { return false };
    let diagonal = f64::from(edid.width_mm).hypot(f64::from(edid.height_mm)) / 25.4;
    (diagonal - f64::from(inches)).abs() > TOLERANCE
}

impl Brand {
    /// The inches that a model's name says: `DELL P2419H` is 24.
    fn inches(&self, name: &str) -> Option<u8> {
        let model = name.strip_prefix(self.prefix)?;
        let letters = model.bytes().take_while(u8::is_ascii_uppercase).count();
        let digits = &model.as_bytes()[letters..];
        let digits = &digits[..digits.iter().take_while(|digit| digit.is_ascii_digit()).count()];
        if !self.letters.contains(&letters) || digits.len() < self.digits {
            return None;
        }
        let inches = (digits[0] - b'0') * 10 + digits[1] - b'0';
        (13..=57).contains(&inches).then_some(inches)
    }
}

/// Dell's models end in `Q` for 3840 by 2160 and in `D` for 2560 by 1440 and wider: 129 of 129.
fn resolution_misfits(edid: &Edid) -> bool {
    let Some(model) = edid.name.as_deref().and_then(|name| name.strip_prefix("DELL ")) else { return false };
    let suffix = model.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let digits = suffix.len() - suffix.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let fine = digits == 4 && suffix[digits..].starts_with(['Q', 'D']);
    fine && edid.manufacturer == "DEL" && edid.native().is_some_and(|(width, _)| width < 2560)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dell(name: &str, size: (u16, u16), preferred: (u16, u16)) -> Edid {
        Edid {
            manufacturer: "DEL".into(),
            name: Some(name.into()),
            digital: true,
            width_mm: size.0,
            height_mm: size.1,
            preferred: Some(preferred),
            ..Edid::default()
        }
    }

    #[test]
    fn a_24_inch_name_on_a_picture_without_size_or_of_another_is_a_contradiction() {
        assert!(!model_misfits(&dell("DELL P2419H", (527, 296), (1920, 1080))));
        for size in [(0, 0), (344, 194), (708, 399)] {
            assert!(model_misfits(&dell("DELL P2419H", size, (1920, 1080))), "{size:?}");
        }
    }

    #[test]
    fn a_name_that_says_4k_on_a_picture_of_1080_lines_is_a_contradiction() {
        assert!(!model_misfits(&dell("DELL U2720Q", (597, 336), (3840, 2160))));
        assert!(model_misfits(&dell("DELL U2720Q", (597, 336), (1920, 1080))));
        assert!(!model_misfits(&dell("DELL U2415", (518, 324), (1920, 1200))));
    }

    #[test]
    fn projectors_and_names_without_inches_are_innocent() {
        for name in ["DELL S510", "DELL 1510X", "DELL S2", "DELL ", "", "DELL 2407WFP"] {
            assert!(!model_misfits(&dell(name, (0, 0), (1280, 800))), "{name}");
        }
    }

    #[test]
    fn four_k_on_160_millimetres_is_a_televisions_whim_and_no_monitors() {
        let mut edid = dell("", (160, 90), (3840, 2160));
        assert!(has_impossible_density(&edid));
        edid.manufacturer = "SAM".into();
        assert!(!has_impossible_density(&edid));
    }

    #[test]
    fn a_base_block_that_was_renamed_still_says_its_product_in_displayid() {
        let mut edid = dell("", (0, 0), (1920, 1080));
        let product = |maker: &str, code| super::super::displayid::DisplayId {
            product: Some((maker.into(), code)),
            ..Default::default()
        };
        edid.product = 0xd0d9;
        edid.displayid = Some(product("DEL", 0xd0d9));
        assert!(!displayid_misfits(&edid));
        edid.displayid = Some(product("LNX", 0x7771));
        assert!(displayid_misfits(&edid));
    }
}
