//! Changes by event: device interfaces that come and go (CfgMgr), mains and lid (the power manager), interfaces and
//! routes that change (IP Helper).

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::ffi::c_void;
use std::time::Duration;

use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_NOTIFY_ACTION, CM_NOTIFY_EVENT_DATA, CM_NOTIFY_FILTER, CM_NOTIFY_FILTER_FLAG_ALL_INTERFACE_CLASSES,
    CM_NOTIFY_FILTER_TYPE_DEVICEINTERFACE, CM_Register_Notification, CM_Unregister_Notification, CR_SUCCESS,
    HCMNOTIFICATION,
};
use windows_sys::Win32::Foundation::{HANDLE, NO_ERROR};
use windows_sys::Win32::NetworkManagement::IpHelper::{
    CancelMibChangeNotify2, MIB_IPFORWARD_ROW2, MIB_IPINTERFACE_ROW, MIB_NOTIFICATION_TYPE,
    NotifyIpInterfaceChange, NotifyRouteChange2,
};
use windows_sys::Win32::Networking::WinSock::AF_UNSPEC;
use windows_sys::Win32::System::Power::{
    DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS, HPOWERNOTIFY, PowerRegisterSuspendResumeNotification,
    PowerSettingRegisterNotification, PowerSettingUnregisterNotification,
    PowerUnregisterSuspendResumeNotification,
};
use windows_sys::Win32::System::SystemServices::{GUID_ACDC_POWER_SOURCE, GUID_LIDSWITCH_STATE_CHANGE};
use windows_sys::Win32::UI::WindowsAndMessaging::DEVICE_NOTIFY_CALLBACK;

use super::Wake;
use crate::windows::{desktop, devices};

/// How long a sensor of devices waits between looks: events come at once, the look is for what they miss.
pub fn period(listens: bool) -> Duration {
    Duration::from_secs(if listens { 120 } else { 10 })
}

/// Wakes a sensor when what it watches comes, goes or changes. Ends when dropped.
#[derive(Debug)]
pub struct Listener {
    registered: Vec<Registered>,
    /// What the system hands to the callbacks; freed after they have ended.
    wake: *mut Wake,
}

#[derive(Clone, Copy, Debug)]
enum Registered {
    Devices(HCMNOTIFICATION),
    Network(HANDLE),
    Power(HPOWERNOTIFY),
    Sleep(HPOWERNOTIFY),
}

// SAFETY: the handles may be closed from any thread, and a `Wake` may be used from any thread.
unsafe impl Send for Listener {}

impl Listener {
    /// Listens for power supplies, or for devices of every kind: a look costs little, and the runner bounds how
    /// often. `None` where the system does not let us, and looking now and then must do.
    pub fn devices(subsystems: &'static [&'static str], wake: Wake) -> Option<Self> {
        if subsystems.contains(&"power_supply") {
            return Self::power(wake);
        }
        if !devices::listed() {
            return None;
        }
        if subsystems.contains(&"drm") {
            desktop::listen(wake.clone());
        }
        let mut listener = Self::new(wake);
        let filter = CM_NOTIFY_FILTER {
            cbSize: u32::try_from(size_of::<CM_NOTIFY_FILTER>()).unwrap_or(0),
            Flags: CM_NOTIFY_FILTER_FLAG_ALL_INTERFACE_CLASSES,
            FilterType: CM_NOTIFY_FILTER_TYPE_DEVICEINTERFACE,
            ..CM_NOTIFY_FILTER::default()
        };
        let mut handle = HCMNOTIFICATION::default();
        // SAFETY: the filter is copied by the call; the context lives until `drop` has unregistered.
        let result = unsafe {
            CM_Register_Notification(
                &raw const filter,
                listener.wake.cast::<c_void>(),
                Some(device_changed),
                &raw mut handle,
            )
        };
        if result != CR_SUCCESS {
            tracing::info!(result, "no hot-plug events; looking every 10 s");
            return None;
        }
        listener.registered.push(Registered::Devices(handle));
        Some(listener)
    }

    /// Mains, the lid, sleep: the power manager calls at once, and once when it is first asked.
    fn power(wake: Wake) -> Option<Self> {
        let mut listener = Self::new(wake);
        let parameters = DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS {
            Callback: Some(power_changed),
            Context: listener.wake.cast::<c_void>(),
        };
        let recipient: HANDLE = (&raw const parameters).cast_mut().cast();
        for setting in [&GUID_ACDC_POWER_SOURCE, &GUID_LIDSWITCH_STATE_CHANGE] {
            let mut handle = std::ptr::null_mut();
            // SAFETY: the parameters are copied by the call; their context lives until `drop` has unregistered.
            let result = unsafe {
                PowerSettingRegisterNotification(setting, DEVICE_NOTIFY_CALLBACK, recipient, &raw mut handle)
            };
            if result != NO_ERROR {
                tracing::info!(result, "no events of mains; looking every 2 s");
                return None;
            }
            listener.registered.push(Registered::Power(handle as HPOWERNOTIFY));
        }
        let mut handle = std::ptr::null_mut();
        // SAFETY: likewise.
        let result = unsafe {
            PowerRegisterSuspendResumeNotification(DEVICE_NOTIFY_CALLBACK, recipient, &raw mut handle)
        };
        // Without it, that the machine slept is seen by its clocks at the next look.
        if result == NO_ERROR {
            listener.registered.push(Registered::Sleep(handle as HPOWERNOTIFY));
        }
        Some(listener)
    }

    /// Listens for interfaces and routes. `None` likewise.
    pub fn routes(wake: Wake) -> Option<Self> {
        let mut listener = Self::new(wake);
        let context = listener.wake.cast::<c_void>();
        let (mut interfaces, mut routes): (HANDLE, HANDLE) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the context lives until `drop` has unregistered.
        let first = unsafe {
            NotifyIpInterfaceChange(AF_UNSPEC, Some(interface_changed), context, false, &raw mut interfaces)
        };
        if first == NO_ERROR {
            listener.registered.push(Registered::Network(interfaces));
        }
        // SAFETY: likewise.
        let second =
            unsafe { NotifyRouteChange2(AF_UNSPEC, Some(route_changed), context, false, &raw mut routes) };
        if second == NO_ERROR {
            listener.registered.push(Registered::Network(routes));
        }
        if first != NO_ERROR || second != NO_ERROR {
            tracing::info!(first, second, "no route events; looking every 2 s");
            return None;
        }
        Some(listener)
    }

    fn new(wake: Wake) -> Self {
        Self { registered: Vec::new(), wake: Box::into_raw(Box::new(wake)) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for registered in self.registered.drain(..) {
            // SAFETY: each was registered above and is closed once; the calls wait for callbacks that run.
            unsafe {
                match registered {
                    Registered::Devices(handle) => {
                        CM_Unregister_Notification(handle);
                    }
                    Registered::Network(handle) => {
                        CancelMibChangeNotify2(handle);
                    }
                    Registered::Power(handle) => {
                        PowerSettingUnregisterNotification(handle);
                    }
                    Registered::Sleep(handle) => {
                        PowerUnregisterSuspendResumeNotification(handle);
                    }
                }
            }
        }
        // SAFETY: made by `new`; no callback can use it any more.
        drop(unsafe { Box::from_raw(self.wake) });
    }
}

/// # Safety
/// `context` is a `Wake` that lives.
unsafe fn wake(context: *const c_void) {
    // SAFETY: the caller's promise.
    if let Some(wake) = unsafe { context.cast::<Wake>().as_ref() } {
        wake.up();
    }
}

unsafe extern "system" fn device_changed(
    _: HCMNOTIFICATION,
    context: *const c_void,
    _: CM_NOTIFY_ACTION,
    _: *const CM_NOTIFY_EVENT_DATA,
    _: u32,
) -> u32 {
    // SAFETY: what was registered.
    unsafe { wake(context) };
    0
}

unsafe extern "system" fn interface_changed(
    context: *const c_void,
    _: *const MIB_IPINTERFACE_ROW,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: what was registered.
    unsafe { wake(context) };
}

unsafe extern "system" fn route_changed(
    context: *const c_void,
    _: *const MIB_IPFORWARD_ROW2,
    _: MIB_NOTIFICATION_TYPE,
) {
    // SAFETY: what was registered.
    unsafe { wake(context) };
}

unsafe extern "system" fn power_changed(context: *const c_void, _: u32, _: *const c_void) -> u32 {
    // SAFETY: what was registered.
    unsafe { wake(context) };
    0
}
