//! Linux: DMI in sysfs, systemd's machine id.

use std::path::Path;

/// Longest text that is read from the firmware's tables.
const MAX_TEXT: u64 = 256;

pub(super) fn serial(root: &Path) -> Option<String> {
    read_text(&root.join("sys/class/dmi/id/product_serial"))
}

pub(super) fn hostname(root: &Path) -> Option<String> {
    let files = ["proc/sys/kernel/hostname", "etc/hostname"];
    files.iter().find_map(|file| read_text(&root.join(file)))
}

/// What names the hardware and this installation.
pub(super) fn sources(root: &Path) -> Vec<(&'static str, String)> {
    let files = [
        ("product_uuid", "sys/class/dmi/id/product_uuid"),
        ("product_serial", "sys/class/dmi/id/product_serial"),
        ("machine_id", "etc/machine-id"),
    ];
    files.iter().filter_map(|(name, file)| Some((*name, read_text(&root.join(file))?))).collect()
}

fn read_text(path: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_TEXT).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then_some(text)
}
