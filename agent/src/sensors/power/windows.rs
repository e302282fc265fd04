//! Windows: the power supply's state, the lid's by the power manager's word, the plan's time to sleep.
#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::ffi::c_void;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use farmwatch_shared::catalogue::Os;
use windows_sys::Wdk::System::SystemServices::NtPowerInformation;
use windows_sys::Win32::Foundation::{ERROR_SUCCESS, HANDLE, LocalFree, STATUS_BUFFER_TOO_SMALL};
use windows_sys::Win32::System::Power::{
    DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS, GetSystemPowerStatus, POWERBROADCAST_SETTING, PowerGetActiveScheme,
    PowerReadACValueIndex, PowerSettingRegisterNotification, SYSTEM_POWER_STATUS,
};
use windows_sys::Win32::System::SystemServices::{
    GUID_LIDSWITCH_STATE_CHANGE, GUID_SLEEP_SUBGROUP, GUID_STANDBY_TIMEOUT,
};
use windows_sys::Win32::System::WindowsProgramming::QueryUnbiasedInterruptTime;
use windows_sys::Win32::UI::WindowsAndMessaging::{DEVICE_NOTIFY_CALLBACK, PBT_POWERSETTINGCHANGE};

use super::from_windows;
use super::{Config, Duration, SensorError, Settings, SupplyNow};
use crate::system;

/// `GetPowerRequestList`, of the levels that have no name in the documentation.
const POWER_REQUEST_LIST: i32 = 45;
/// A list of requests is never longer.
const MOST_REQUESTS: u32 = 256 << 10;

pub(super) fn supply(config: &Config) -> Result<SupplyNow, SensorError> {
    crate::windows::is_here(config)?;
    let mut status = SYSTEM_POWER_STATUS::default();
    // SAFETY: a place for the answer.
    if unsafe { GetSystemPowerStatus(&raw mut status) } == 0 {
        let error = std::io::Error::last_os_error();
        return Err(SensorError::Blind(format!("the power supply cannot be read: {error}")));
    }
    let (mains, battery) = from_windows::supply(status.ACLineStatus, status.BatteryFlag);
    Ok(SupplyNow { mains, battery, lid_closed: lid_closed() })
}

pub(super) fn settings(config: &Config) -> Settings {
    let name = |holder: String| {
        let tool = config.catalogue.by_process(Os::Windows, &holder, None);
        tool.map_or_else(|| "other".to_owned(), |hit| hit.tool.id.to_string())
    };
    let mut keep_awake: Vec<String> = from_windows::holders(&requests()).into_iter().map(name).collect();
    keep_awake.sort_unstable();
    keep_awake.dedup();
    Settings { never_sleeps: standby_seconds().map(|seconds| seconds == 0), keep_awake, trouble: None }
}

/// Who asked Windows to stay awake, as `powercfg /requests` knows it; empty for who may not ask.
fn requests() -> Vec<u8> {
    let mut length = 4096u32;
    while length <= MOST_REQUESTS {
        let mut list = vec![0u64; length as usize / 8];
        // SAFETY: no question; the buffer has the length that is told and is aligned for numbers of eight bytes.
        let status = unsafe {
            NtPowerInformation(
                POWER_REQUEST_LIST,
                std::ptr::null(),
                0,
                list.as_mut_ptr().cast::<c_void>(),
                length,
            )
        };
        match status {
            0 => return list.iter().flat_map(|number| number.to_le_bytes()).collect(),
            STATUS_BUFFER_TOO_SMALL => length *= 4,
            _ => break,
        }
    }
    Vec::new()
}

/// How long the machine has slept since it started: one clock goes on in sleep, the other does not.
pub(super) fn time_asleep(_: &Config) -> Duration {
    let mut awake = 0;
    // SAFETY: a place for the answer.
    if unsafe { QueryUnbiasedInterruptTime(&raw mut awake) } == 0 {
        return Duration::ZERO;
    }
    system::since_boot().saturating_sub(Duration::from_micros(awake / 10))
}

/// How long the machine has been up.
#[allow(clippy::unnecessary_wraps, reason = "other systems can fail here")]
pub(super) fn uptime(_: &Config) -> Option<Duration> {
    Some(system::since_boot())
}

/// Time to sleep on mains, by the plan in force; 0 is never.
fn standby_seconds() -> Option<u32> {
    let mut scheme = std::ptr::null_mut();
    // SAFETY: a place for the answer, which is freed below.
    if unsafe { PowerGetActiveScheme(std::ptr::null_mut(), &raw mut scheme) } != ERROR_SUCCESS
        || scheme.is_null()
    {
        return None;
    }
    let mut seconds = 0;
    // SAFETY: the plan was just given; a place for the answer.
    let read = unsafe {
        PowerReadACValueIndex(
            std::ptr::null_mut(),
            scheme,
            &GUID_SLEEP_SUBGROUP,
            &GUID_STANDBY_TIMEOUT,
            &raw mut seconds,
        )
    };
    // SAFETY: allocated by the call above, freed once.
    unsafe { LocalFree(scheme.cast::<c_void>()) };
    (read == ERROR_SUCCESS).then_some(seconds)
}

/// The lid as the power manager last told: 0 unknown, 1 closed, 2 open.
static LID: AtomicU8 = AtomicU8::new(0);

/// The manager tells the state when it is first asked to, and every change; a machine without a lid says nothing.
fn lid_closed() -> Option<bool> {
    static ASKED: OnceLock<bool> = OnceLock::new();
    ASKED.get_or_init(ask_for_lid);
    match LID.load(Ordering::Acquire) {
        1 => Some(true),
        2 => Some(false),
        _ => None,
    }
}

fn ask_for_lid() -> bool {
    let parameters =
        DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS { Callback: Some(lid_changed), Context: std::ptr::null_mut() };
    let mut handle = std::ptr::null_mut();
    let recipient: HANDLE = (&raw const parameters).cast_mut().cast();
    // SAFETY: the parameters are copied by the call; the callback is a function of this program, which stays as long
    // as the process does, and uses nothing but a static.
    let asked = unsafe {
        PowerSettingRegisterNotification(
            &GUID_LIDSWITCH_STATE_CHANGE,
            DEVICE_NOTIFY_CALLBACK,
            recipient,
            &raw mut handle,
        )
    };
    asked == ERROR_SUCCESS
}

unsafe extern "system" fn lid_changed(_: *const c_void, kind: u32, setting: *const c_void) -> u32 {
    if kind != PBT_POWERSETTINGCHANGE {
        return 0;
    }
    // SAFETY: for this kind the system hands over such a setting, which lives until this returns.
    if let Some(setting) = unsafe { setting.cast::<POWERBROADCAST_SETTING>().as_ref() }
        && setting.DataLength >= 1
    {
        LID.store(if setting.Data[0] == 0 { 1 } else { 2 }, Ordering::Release);
    }
    0
}
