//! Windows: monitors that are present, their EDIDs from the registry, their sockets from the desktop (a service asks
//! the helper in the session of whoever is logged in).

use super::from_windows::{Monitor, Path, display, override_of};
use crate::sensors::devnode::same;
use crate::sensors::{Sensed, SensorError};
use crate::windows::{desktop, devices};

/// States every monitor that is present.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    crate::windows::is_here(&config)?;
    let nodes = devices::present(&["DISPLAY"])?;
    let lit = desktop::monitors();
    if lit.is_none() {
        out.note("which monitors are lit, and on what sockets, is not known while nobody is logged in");
    }
    for node in nodes {
        let path = lit.as_ref().map(|lit| {
            let found = lit.iter().find(|lit| same(&lit.id, &node.id));
            Path { technology: found.map(|lit| lit.technology), active: found.is_some() }
        });
        let instead = override_of(|block| devices::parameter(&node.id, r"EDID_OVERRIDE", block));
        let monitor = Monitor { edid: devices::parameter(&node.id, "", "EDID"), instead, id: node.id, path };
        let (name, display) = display(&monitor, &config.hash_key);
        if let Some(why) = &display.edid_error {
            out.partly(SensorError::Blind(format!("the display on {name} cannot be identified: {why}")));
        }
        out.fact(&name, &display);
    }
    Ok(())
}
