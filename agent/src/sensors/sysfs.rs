//! What the sensors of devices share about sysfs: numbers, and a device's place in the tree.

use std::path::{Path, PathBuf};

use super::read;

/// An attribute that is a number in hexadecimal digits, with or without `0x`.
pub fn hex(dir: &Path, name: &str) -> Option<u32> {
    let text = read::attribute(&dir.join(name))?;
    u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// A 16-bit id as four lower-case hex digits.
pub fn id(dir: &Path, name: &str) -> Option<String> {
    u16::try_from(hex(dir, name)?).ok().map(|id| format!("{id:04x}"))
}

/// A device's folder and those above it, below `/sys`: where its symbolic link leads to.
pub fn ancestors(device: &Path) -> Vec<PathBuf> {
    let Ok(real) = device.canonicalize() else { return Vec::new() };
    real.ancestors().take_while(|dir| !dir.ends_with("sys")).take(64).map(Path::to_path_buf).collect()
}

/// Whether a person can unplug the USB device that this hangs on: the device itself, or a hub above it.
/// `None` where the firmware is silent or there is no USB device.
pub fn removable(device: &Path) -> Option<bool> {
    let mut answer = None;
    for dir in ancestors(device).iter().filter(|dir| dir.join("idVendor").exists()) {
        match read::attribute(&dir.join("removable")).as_deref() {
            Some("removable") => return Some(true),
            Some("fixed") => answer = Some(false),
            _ => {}
        }
    }
    answer
}
