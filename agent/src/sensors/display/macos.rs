//! macOS: the IOKit registry. Reading it asks nobody for permission; reading the screen would.

use super::from_macos;
use crate::apple::iokit;
use crate::sensors::{Sensed, SensorError};

/// States every display.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    // The classes of Intel's displays and of Apple silicon's frame buffers.
    for class in ["IODisplay", "IOMobileFramebuffer"] {
        let tree = iokit::registry(class)?;
        for (name, display) in from_macos::displays(&tree, &config.hash_key) {
            if let Some(why) = &display.edid_error {
                out.partly(SensorError::Blind(format!("the display on {name} cannot be identified: {why}")));
            }
            out.fact(&name, &display);
        }
    }
    Ok(())
}
