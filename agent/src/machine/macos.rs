//! macOS: the IOKit registry's root.

use std::path::Path;
use std::sync::OnceLock;

use crate::apple::{iokit, system};
use crate::sensors::{Platform, platform};

pub(super) fn serial(_: &Path) -> Option<String> {
    read().serial.clone()
}

pub(super) fn hostname(_: &Path) -> Option<String> {
    system::sysctl_text("kern.hostname").map(|name| crate::sensors::impersonal_hostname(&name))
}

/// What names the hardware and this installation.
pub(super) fn sources(_: &Path) -> Vec<(&'static str, String)> {
    let platform = read();
    let uuid = platform.uuid.clone().map(|uuid| ("product_uuid", uuid));
    let serial = platform.serial.clone().map(|serial| ("product_serial", serial));
    uuid.into_iter().chain(serial).collect()
}

/// What the hardware says of itself does not change while the system runs.
fn read() -> &'static Platform {
    static PLATFORM: OnceLock<Platform> = OnceLock::new();
    PLATFORM.get_or_init(|| {
        iokit::registry("IOPlatformExpertDevice").map(|tree| platform(&tree)).unwrap_or_default()
    })
}
