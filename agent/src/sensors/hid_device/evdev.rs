//! Input devices of the kernel's input layer (`/sys/class/input/input*`): where they sit and what they can do.

use std::path::{Path, PathBuf};

use farmwatch_shared::facts::{Bus, HidCaps};

use crate::sensors::read::{self, MANY, ReadError};
use crate::sensors::sysfs;

/// `BTN_TOUCH`, `BTN_TOOL_PEN` and `BTN_TOOL_FINGER`: what touch screens, touchpads and pens have.
const TOUCH: [usize; 3] = [0x14a, 0x140, 0x145];
/// `BTN_LEFT`.
const LEFT_BUTTON: usize = 0x110;
/// `ABS_MT_POSITION_X`.
const MULTI_TOUCH: usize = 0x35;
/// `KEY_A`, `KEY_Z`, `KEY_ENTER`, `KEY_SPACE`: a keyboard that writes has them all.
const WRITING: [usize; 4] = [30, 44, 28, 57];
/// `KEY_VOLUMEUP` and `KEY_PLAYPAUSE`.
const MEDIA: [usize; 2] = [115, 164];

/// One input device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its folder as `/sys` shows it: `/sys/class/input/input7`.
    pub dir: PathBuf,
    /// How it is attached.
    pub bus: Bus,
    /// Part of the laptop.
    pub built_in: bool,
    /// What it can do.
    pub caps: HidCaps,
    /// It is a HID device's, which says more of itself than the input layer.
    pub hid: bool,
}

/// Every input device, in the order of their names.
pub fn inputs(class: &Path) -> Result<Vec<Input>, ReadError> {
    let names = read::names(class, MANY)?;
    let inputs = names.iter().filter(|name| {
        name.strip_prefix("input").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    Ok(inputs.map(|name| input(&class.join(name))).collect())
}

/// One input device by its folder.
pub fn input(dir: &Path) -> Input {
    let claimed = sysfs::hex(dir, "id/bustype").unwrap_or(0);
    let bus = bus(claimed, dir);
    let above = sysfs::ancestors(dir);
    let hid = above.iter().filter_map(|d| d.file_name()?.to_str()).any(is_hid_name);
    Input { built_in: built_in(bus, dir), dir: dir.to_owned(), bus, caps: caps(dir), hid }
}

/// The bus a device sits on. What it claims (`BUS_*` of the kernel's input.h) counts only where its place in
/// the tree bears it out: software may claim any bus.
pub fn bus(claimed: u32, device: &Path) -> Bus {
    let place = sysfs::ancestors(device);
    let below = |folder: &str| place.iter().any(|dir| dir.ends_with(folder));
    let over_uhid = below("devices/virtual/misc/uhid");
    if below("devices/virtual") && !(over_uhid && claimed == 0x05) {
        // Bluetooth Low Energy is the one bus whose devices honestly come through uhid, from the system's
        // Bluetooth service.
        return Bus::Virtual;
    }
    match claimed {
        0x03 => Bus::Usb,
        0x05 => Bus::Bluetooth,
        0x06 => Bus::Virtual,
        0x11 => Bus::Ps2,
        0x18 | 0x1c | 0x1d => Bus::I2c,
        _ => Bus::Other,
    }
}

/// Whether a device is the laptop's own: soldered in, or on a USB port that the firmware calls fixed.
pub fn built_in(bus: Bus, device: &Path) -> bool {
    match bus {
        Bus::I2c | Bus::Ps2 => true,
        Bus::Usb => sysfs::removable(device) == Some(false),
        _ => false,
    }
}

/// `0003:046D:C52B.0001`: how the HID layer names its devices.
pub fn is_hid_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split([':', '.']).collect();
    parts.len() == 4 && parts.iter().all(|p| p.len() >= 4 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn caps(dir: &Path) -> HidCaps {
    let keys = bits(dir, "capabilities/key");
    let relative = bits(dir, "capabilities/rel");
    let absolute = bits(dir, "capabilities/abs");
    let touch = TOUCH.iter().any(|key| keys.has(*key)) || absolute.has(MULTI_TOUCH);
    let place = absolute.has(0) && absolute.has(1);
    HidCaps {
        keyboard: WRITING.iter().all(|key| keys.has(*key)),
        relative: relative.has(0) && relative.has(1),
        absolute: place && !touch && keys.has(LEFT_BUTTON),
        digitizer: place && touch,
        consumer: MEDIA.iter().any(|key| keys.has(*key)),
    }
}

/// A set of bits as sysfs writes it: words in hexadecimal, the highest first.
struct Bits(Vec<u64>);

impl Bits {
    fn has(&self, bit: usize) -> bool {
        self.0.get(bit / WORD).is_some_and(|word| word >> (bit % WORD) & 1 == 1)
    }
}

/// Bits in a word of the kernel's (`BITS_PER_LONG`): the agent is built for the kernel's own width.
const WORD: usize = usize::BITS as usize;

fn bits(dir: &Path, name: &str) -> Bits {
    let text = read::text(&dir.join(name), 4096).unwrap_or_default();
    let words = text.split_whitespace().rev().take(64);
    Bits(words.map(|word| u64::from_str_radix(word, 16).unwrap_or(0)).collect())
}
