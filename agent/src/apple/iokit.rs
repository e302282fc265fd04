//! The IOKit registry, read without a program in between. Reading asks nobody for permission; opening a device would.
#![allow(unsafe_code, reason = "calls IOKit, which has no safe wrapper here; each call says why it is sound")]

use std::ffi::{CStr, CString, c_char};

use super::core_foundation::{Owned, Ref};
use super::plist::{Dict, Plist};
use crate::sensors::SensorError;

/// Most entries of one class.
const MOST: usize = 1024;
/// `KERN_SUCCESS`.
const OK: i32 = 0;
/// `kIOMainPortDefault`: the library finds the way to the kernel itself.
const MAIN_PORT: u32 = 0;
/// `io_name_t`.
const NAME: usize = 128;

#[link(name = "IOKit", kind = "framework")]
unsafe extern "C" {
    pub(super) fn IOServiceMatching(class: *const c_char) -> Ref;
    fn IOServiceGetMatchingServices(port: u32, matching: Ref, iterator: *mut u32) -> i32;
    fn IOIteratorNext(iterator: u32) -> u32;
    fn IOObjectRelease(object: u32) -> i32;
    fn IOObjectGetClass(object: u32, name: *mut c_char) -> i32;
    fn IORegistryEntryGetRegistryEntryID(entry: u32, id: *mut u64) -> i32;
    fn IORegistryEntryCreateCFProperties(
        entry: u32,
        properties: *mut Ref,
        allocator: Ref,
        options: u32,
    ) -> i32;
    fn IORegistryEntryCreateCFProperty(entry: u32, key: Ref, allocator: Ref, options: u32) -> Ref;
    fn IORegistryGetRootEntry(port: u32) -> u32;
}

/// An object of the kernel's that we hold a right to, and give back when this is dropped.
#[derive(Debug)]
pub(super) struct Object(u32);

impl Object {
    /// Takes over a right; `None` for none.
    pub(super) fn take(object: u32) -> Option<Self> {
        (object != 0).then_some(Self(object))
    }

    /// The next object, if this is an iterator.
    pub(super) fn next(&self) -> Option<Self> {
        // SAFETY: takes a name of a right; another object's than an iterator's gives nothing.
        Self::take(unsafe { IOIteratorNext(self.0) })
    }

    /// Its properties, with its class and id as `ioreg -a` adds them.
    fn properties(&self) -> Option<Result<Dict, String>> {
        let mut properties = std::ptr::null();
        // SAFETY: a place for the answer, which is ours.
        let read = unsafe {
            let status = IORegistryEntryCreateCFProperties(self.0, &raw mut properties, std::ptr::null(), 0);
            (status == OK).then(|| Owned::take(properties)).flatten()
        };
        // An entry that is gone since has none.
        let mut dict = match read?.plist() {
            Ok(Plist::Dict(dict)) => dict,
            Ok(_) => return None,
            Err(error) => return Some(Err(error)),
        };
        if let Some(class) = self.class() {
            dict.insert("IOObjectClass".into(), Plist::Text(class));
        }
        let mut id = 0;
        // SAFETY: a place for the answer.
        if unsafe { IORegistryEntryGetRegistryEntryID(self.0, &raw mut id) } == OK {
            dict.insert("IORegistryEntryID".into(), Plist::Integer(id.into()));
        }
        Some(Ok(dict))
    }

    fn class(&self) -> Option<String> {
        let mut name: [c_char; NAME] = [0; NAME];
        // SAFETY: the function writes at most as many characters as an `io_name_t` has, the last a zero.
        let status = unsafe { IOObjectGetClass(self.0, name.as_mut_ptr()) };
        if let Some(last) = name.last_mut() {
            *last = 0;
        }
        // SAFETY: the buffer ends with a zero.
        let text = unsafe { CStr::from_ptr(name.as_ptr()) };
        (status == OK).then(|| text.to_string_lossy().into_owned())
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: ours to give back, once.
        unsafe { IOObjectRelease(self.0) };
    }
}

/// Entries of a class and of those derived from it: an array of dictionaries, as `ioreg -a -r -d 1 -c CLASS` prints
/// them.
pub fn registry(class: &str) -> Result<Plist, SensorError> {
    let blind =
        |why: String| SensorError::Blind(format!("the IOKit registry's {class} cannot be read: {why}"));
    let name = CString::new(class).map_err(|error| blind(error.to_string()))?;
    let mut iterator = 0;
    // SAFETY: the name ends with a zero; the dictionary that is made of it is used up by the second call.
    let status = unsafe {
        let matching = IOServiceMatching(name.as_ptr());
        if matching.is_null() {
            return Err(blind("there is no memory".into()));
        }
        IOServiceGetMatchingServices(MAIN_PORT, matching, &raw mut iterator)
    };
    if status != OK {
        return Err(blind(format!("error {status:#x}")));
    }
    let mut entries = Vec::new();
    let (mut left, iterator) = (MOST, Object::take(iterator));
    while let Some(entry) = iterator.as_ref().filter(|_| left > 0).and_then(Object::next) {
        left -= 1;
        if let Some(properties) = entry.properties() {
            entries.push(Plist::Dict(properties.map_err(blind)?));
        }
    }
    Ok(Plist::Array(entries))
}

/// A property of the registry's root.
pub fn of_root(key: &CStr) -> Option<Plist> {
    let key = Owned::text(key)?;
    // SAFETY: takes a number; the right that is given is ours.
    let root = Object::take(unsafe { IORegistryGetRootEntry(MAIN_PORT) })?;
    // SAFETY: both are alive; what is created is ours.
    let value =
        unsafe { Owned::take(IORegistryEntryCreateCFProperty(root.0, key.lend(), std::ptr::null(), 0)) };
    value?.plist().ok()
}
