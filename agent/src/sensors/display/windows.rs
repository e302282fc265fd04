//! Windows: monitors that are present, their EDIDs from the registry, their sockets from the desktop where it can
//! be asked (a service cannot always).
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use windows_sys::Win32::Devices::Display::{
    DISPLAYCONFIG_DEVICE_INFO_GET_TARGET_NAME, DISPLAYCONFIG_MODE_INFO, DISPLAYCONFIG_PATH_INFO,
    DISPLAYCONFIG_TARGET_DEVICE_NAME, DisplayConfigGetDeviceInfo, GetDisplayConfigBufferSizes,
    QDC_ONLY_ACTIVE_PATHS, QueryDisplayConfig,
};

use super::from_windows::{Monitor, Path, display};
use crate::sensors::devnode::same;
use crate::sensors::{Sensed, SensorError};
use crate::windows::{devices, text};

/// Most paths from graphics cards to monitors.
const MOST_PATHS: u32 = 256;

/// States every monitor that is present.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    crate::windows::is_here(&config)?;
    let nodes = devices::present(&["DISPLAY"])?;
    let lit = active();
    if lit.is_none() {
        out.note("which monitor is lit cannot be told from a service of this Windows");
    }
    for node in nodes {
        let path = lit.as_ref().map(|lit| {
            let found = lit.iter().find(|(id, _)| same(id, &node.id));
            Path { technology: found.map(|(_, technology)| *technology), active: found.is_some() }
        });
        let monitor = Monitor { edid: devices::parameter(&node.id, "EDID"), id: node.id, path };
        let (name, display) = display(&monitor, &config.hash_key);
        if let Some(why) = &display.edid_error {
            out.partly(SensorError::Blind(format!("the display on {name} cannot be identified: {why}")));
        }
        out.fact(&name, &display);
    }
    Ok(())
}

/// Monitors that are part of the desktop, with the kind of their sockets; `None` where the desktop cannot be asked.
fn active() -> Option<Vec<(String, u32)>> {
    let (mut paths, mut modes) = (0, 0);
    // SAFETY: places for two counts.
    if unsafe { GetDisplayConfigBufferSizes(QDC_ONLY_ACTIVE_PATHS, &raw mut paths, &raw mut modes) } != 0 {
        return None;
    }
    let (mut paths, mut modes) = (paths.min(MOST_PATHS), modes.min(MOST_PATHS * 4));
    let mut found = vec![DISPLAYCONFIG_PATH_INFO::default(); paths as usize];
    let mut unused = vec![DISPLAYCONFIG_MODE_INFO::default(); modes as usize];
    // SAFETY: both buffers have the lengths that are told.
    let asked = unsafe {
        QueryDisplayConfig(
            QDC_ONLY_ACTIVE_PATHS,
            &raw mut paths,
            found.as_mut_ptr(),
            &raw mut modes,
            unused.as_mut_ptr(),
            std::ptr::null_mut(),
        )
    };
    found.truncate(paths as usize);
    (asked == 0).then(|| found.iter().filter_map(target).collect())
}

fn target(path: &DISPLAYCONFIG_PATH_INFO) -> Option<(String, u32)> {
    let mut name = DISPLAYCONFIG_TARGET_DEVICE_NAME::default();
    name.header.r#type = DISPLAYCONFIG_DEVICE_INFO_GET_TARGET_NAME;
    name.header.size = u32::try_from(size_of::<DISPLAYCONFIG_TARGET_DEVICE_NAME>()).ok()?;
    name.header.adapterId = path.targetInfo.adapterId;
    name.header.id = path.targetInfo.id;
    // SAFETY: the header says what is asked for and how long the answer may be.
    if unsafe { DisplayConfigGetDeviceInfo(&raw mut name.header) } != 0 {
        return None;
    }
    let technology = u32::from_ne_bytes(path.targetInfo.outputTechnology.to_ne_bytes());
    Some((devices::instance(&text::of_buffer(&name.monitorDevicePath))?, technology))
}
