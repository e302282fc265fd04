//! What is remarkable about an EDID.

use super::{Edid, contradiction, known};

/// What is remarkable about an EDID, by name:
///
/// - `known_kvm:<name>`: an IP-KVM's own identity
/// - `kvm_preset`: byte for byte a preset of an IP-KVM that copies a real monitor, serial number included
/// - `kvm_template:<name>`: timings, colours and extension are an IP-KVM's, under whatever name
/// - `capture_chip`: the reference EDID of a video capture chip
/// - `virtual_display`: a hypervisor's, driver's or dummy plug's screen
/// - `bad_checksum`, `truncated`: it is damaged, or made by hand
/// - `no_serial`, `placeholder_serial`: no serial number, or one that no two monitors would differ in
/// - `impossible_size`: larger than any screen, or of a shape that none has
/// - `impossible_density`: a computer monitor's maker, and pixels of a size that none of its monitors has
/// - `model_misfit`: its model's name says another diagonal or resolution than its picture has
/// - `displayid_misfit`: base block and `DisplayID` name different products
/// - `impossible_date`: a week or year that cannot be
/// - `kvm_switch`: a KVM switch's own
/// - `projector`, `converter`: what conference rooms have
pub fn traits(edid: &Edid) -> Vec<String> {
    let mut traits = Vec::new();
    traits.extend(known::identity(edid).map(|name| format!("known_kvm:{name}")));
    traits.extend(known::template(edid).map(|name| format!("kvm_template:{name}")));
    let checks: [(&'static str, bool); 14] = [
        ("kvm_preset", known::preset(edid).is_some()),
        ("capture_chip", is_capture_chip(edid)),
        ("virtual_display", is_virtual(edid)),
        ("bad_checksum", !edid.checksum_ok || !edid.extension_checksums_ok),
        (
            "truncated",
            edid.extensions.len() < usize::from(edid.announced_extensions) || edid.trailing_bytes > 0,
        ),
        ("no_serial", edid.serial_number == 0 && edid.serial_text.is_none()),
        ("placeholder_serial", has_placeholder_serial(edid)),
        ("impossible_size", has_impossible_size(edid)),
        ("impossible_density", contradiction::has_impossible_density(edid)),
        ("model_misfit", contradiction::model_misfits(edid)),
        ("displayid_misfit", contradiction::displayid_misfits(edid)),
        ("impossible_date", has_impossible_date(edid)),
        ("kvm_switch", name_has(edid, &["kvm"])),
        ("converter", name_has(edid, &["to hdmi", "hdmi-vga", "splitter", "dp2hdmi"])),
    ];
    traits.extend(checks.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name.to_owned()));
    traits
}

/// The serial number, where it tells this screen from others of its model.
pub fn serial(edid: &Edid) -> Option<String> {
    let number = Some(edid.serial_number).filter(|n| !is_placeholder_number(*n)).map(|n| n.to_string());
    let text = edid.serial_text.clone().filter(|text| !is_placeholder_text(text));
    match (number, text) {
        (None, None) => None,
        (number, text) => Some(format!("{}/{}", number.unwrap_or_default(), text.unwrap_or_default())),
    }
}

fn name_has(edid: &Edid, words: &[&str]) -> bool {
    let name = edid.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    words.iter().any(|word| name.contains(word))
}

fn is_capture_chip(edid: &Edid) -> bool {
    let macro_silicon = edid.manufacturer == "HJW" && [0x0001, 0x3618].contains(&edid.product);
    let names = ["hdmi to usb", "hdmi encoder", "macrosilicon", "capture", "cam link", "elgato", "magewell"];
    known::is_bridge_reference(edid) || macro_silicon || name_has(edid, &names)
}

/// Hypervisors and drivers: QEMU (`RHT`), VirtualBox (`VBX`), VMware (`VMW`), Parallels (`PRL`), Hyper-V
/// (`MSH`), Linux' built-in EDIDs (`LNX`).
const VIRTUAL_MAKERS: [&str; 6] = ["RHT", "VBX", "VMW", "PRL", "MSH", "LNX"];

/// Drivers of screens that are not there, by maker and product: Parsec's (`PSCCDD0`), Virtual Display Driver (`MTT1337`),
/// Apollo's and Sunshine's SudoVDA (`SMKD1CE`). Sources: their own code and that of programs that look for them.
const VIRTUAL_DRIVERS: [(&str, u16); 3] = [("PSC", 0xcdd0), ("MTT", 0x1337), ("SMK", 0xd1ce)];

/// The two EDIDs of Microsoft's sample of such a driver, altered copies of a Dell S2719DGF and a Lenovo Y27fA, which drivers
/// made from it ship unchanged: SHA-256 of the base block, serial number included.
const VIRTUAL_SAMPLES: [&str; 2] = [
    "a99d9b2c46ced229bf048a924e3ced3627d591ae7a3b72d76c25eb9bed670de6",
    "89d84a0303e4e91716aeed50b87ef0b282ab50a60fbabffad2877bb22bfdd5f7",
];

fn is_virtual(edid: &Edid) -> bool {
    let maker = edid.manufacturer.as_str();
    let names =
        ["virtual", "dummy", "headless", "sudovda", "parsecvda", "vdd by mtt", "indirect disp", "spacedesk"];
    VIRTUAL_MAKERS.contains(&maker)
        || VIRTUAL_DRIVERS.contains(&(maker, edid.product))
        || VIRTUAL_SAMPLES.contains(&hex::encode(edid.sha256).as_str())
        || name_has(edid, &names)
}

fn has_placeholder_serial(edid: &Edid) -> bool {
    let some = edid.serial_number != 0 || edid.serial_text.is_some();
    some && serial(edid).is_none()
}

fn is_placeholder_number(number: u32) -> bool {
    let bytes = number.to_le_bytes();
    number < 0x100 || bytes.iter().all(|b| *b == bytes[0]) || number == 0x8888_8800
}

fn is_placeholder_text(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    let first = text.chars().next();
    text.len() < 3
        || text.chars().all(|c| Some(c) == first)
        || "0123456789abcdef".contains(&text)
        || text == "cafebabe"
        || text.trim_start_matches('0').len() < 2
}

/// No screen is above three metres; none but a banner is seven times as wide as high.
fn has_impossible_size(edid: &Edid) -> bool {
    let (width, height) = (edid.width_mm, edid.height_mm);
    let said = width > 0 && height > 0;
    said && (width > 3_000 || height > 3_000 || width > height * 7 || height > width * 7 || width < 30)
}

/// EDID was born in 1994; weeks go to 54 and 255 means "the model's year".
fn has_impossible_date(edid: &Edid) -> bool {
    let year = edid.year.unwrap_or(2000);
    !(1994..=2040).contains(&year) || (edid.week > 54 && edid.week != 255)
}
