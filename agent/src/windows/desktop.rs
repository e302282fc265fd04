//! The desktop's monitors: which are lit, on what kind of socket. Only who is in the desktop's session may ask, so the
//! helper there tells the service.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use windows_sys::Win32::Devices::Display::{
    DISPLAYCONFIG_DEVICE_INFO_GET_TARGET_NAME, DISPLAYCONFIG_MODE_INFO, DISPLAYCONFIG_PATH_INFO,
    DISPLAYCONFIG_TARGET_DEVICE_NAME, DisplayConfigGetDeviceInfo, GetDisplayConfigBufferSizes,
    QDC_ONLY_ACTIVE_PATHS, QueryDisplayConfig,
};

use super::{devices, own_session, text};
use crate::sensors::Wake;

/// Most paths from graphics cards to monitors.
const MOST_PATHS: u32 = 256;
/// Most monitors that a helper may tell of, and the longest name: whoever is logged in could say anything.
const MOST_LIT: usize = 32;
const MOST_NAME: usize = 200;

/// A monitor that is part of the desktop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lit {
    /// Its instance: `DISPLAY\LEN40B2\4&3B4D1F6&0&UID8388688`.
    pub id: String,
    /// `DISPLAYCONFIG_VIDEO_OUTPUT_TECHNOLOGY`.
    pub technology: u32,
}

static TOLD: Mutex<BTreeMap<u32, Vec<Lit>>> = Mutex::new(BTreeMap::new());
static LISTENERS: Mutex<Vec<Wake>> = Mutex::new(Vec::new());

/// Monitors of the desktop, or of the desktops that helpers told of; `None` where nobody can tell.
pub fn monitors() -> Option<Vec<Lit>> {
    if own_session() != Some(0) {
        return lit();
    }
    let told = lock(&TOLD);
    (!told.is_empty()).then(|| told.values().flatten().cloned().collect())
}

/// A session's helper tells of its monitors; `None` when it ends.
pub fn tell(session: u32, lit: Option<Vec<Lit>>) {
    let fits = |lit: &Lit| lit.id.len() <= MOST_NAME;
    let lit = lit.map(|lit| lit.into_iter().filter(fits).take(MOST_LIT).collect::<Vec<_>>());
    let mut told = lock(&TOLD);
    let before = told.get(&session).cloned();
    match &lit {
        Some(lit) => told.insert(session, lit.clone()),
        None => told.remove(&session),
    };
    drop(told);
    if before != lit {
        lock(&LISTENERS).retain(Wake::up);
    }
}

/// Wakes a sensor when monitors are told that differ.
pub fn listen(wake: Wake) {
    let mut listeners = lock(&LISTENERS);
    // Those of sensors that are gone.
    listeners.retain(Wake::up);
    listeners.push(wake);
}

/// Monitors of the own session's desktop; `None` where that cannot be asked.
pub fn lit() -> Option<Vec<Lit>> {
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

fn target(path: &DISPLAYCONFIG_PATH_INFO) -> Option<Lit> {
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
    Some(Lit { id: devices::instance(&text::of_buffer(&name.monitorDevicePath))?, technology })
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
