//! Core Foundation, as little of it as turns what the system answers into property lists of our own.
#![allow(
    unsafe_code,
    reason = "calls Core Foundation, which has no safe wrapper here; each call says why it is sound"
)]

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use super::plist::{self, Dict, Plist};

/// A reference to an object of any type (`CFTypeRef`).
pub type Ref = *const c_void;

/// `kCFPropertyListBinaryFormat_v1_0`: XML cannot hold every character that somebody's device may have in its name.
const BINARY: isize = 200;
/// `kCFStringEncodingUTF8`.
const UTF_8: u32 = 0x0800_0100;
/// Longest list that is read.
const MOST_BYTES: usize = 16 << 20;
/// Most entries of one dictionary or array that are gone through here.
const MOST: isize = 4096;

#[link(name = "CoreFoundation", kind = "framework")]
unsafe extern "C" {
    fn CFRelease(object: Ref);
    fn CFGetTypeID(object: Ref) -> usize;
    fn CFArrayGetTypeID() -> usize;
    fn CFArrayGetCount(array: Ref) -> isize;
    fn CFArrayGetValueAtIndex(array: Ref, index: isize) -> Ref;
    fn CFDictionaryGetTypeID() -> usize;
    fn CFDictionaryGetCount(dictionary: Ref) -> isize;
    fn CFDictionaryGetKeysAndValues(dictionary: Ref, keys: *mut Ref, values: *mut Ref);
    fn CFDataGetLength(data: Ref) -> isize;
    fn CFDataGetBytePtr(data: Ref) -> *const u8;
    fn CFPropertyListIsValid(list: Ref, format: isize) -> u8;
    fn CFPropertyListCreateData(
        allocator: Ref,
        list: Ref,
        format: isize,
        options: usize,
        error: *mut Ref,
    ) -> Ref;
    fn CFStringCreateWithCString(allocator: Ref, text: *const c_char, encoding: u32) -> Ref;
}

/// An object that we have to release, and do when this is dropped.
#[derive(Debug)]
pub struct Owned(NonNull<c_void>);

impl Owned {
    /// Takes over what a function with `Create` or `Copy` in its name returned; `None` where that was nothing.
    ///
    /// # Safety
    /// `object` is null, or an object that nobody else will release for us.
    pub unsafe fn take(object: Ref) -> Option<Self> {
        NonNull::new(object.cast_mut()).map(Self)
    }

    /// A text.
    pub fn text(text: &CStr) -> Option<Self> {
        // SAFETY: the text ends with a zero; what is created is ours.
        unsafe { Self::take(CFStringCreateWithCString(std::ptr::null(), text.as_ptr(), UTF_8)) }
    }

    /// Lends the object.
    pub fn lend(&self) -> Ref {
        self.0.as_ptr()
    }

    /// The objects in it, if it is an array; each lives as long as this.
    pub fn items(&self) -> Vec<Ref> {
        // SAFETY: the object is alive; an index below the count is one of the array's.
        unsafe {
            if CFGetTypeID(self.lend()) != CFArrayGetTypeID() {
                return Vec::new();
            }
            let count = CFArrayGetCount(self.lend()).min(MOST);
            (0..count).map(|index| CFArrayGetValueAtIndex(self.lend(), index)).collect()
        }
    }

    /// Keys and values, if it is a dictionary; each lives as long as this.
    pub fn pairs(&self) -> Vec<(Ref, Ref)> {
        // SAFETY: the object is alive; both buffers have room for as many as it holds.
        unsafe {
            if CFGetTypeID(self.lend()) != CFDictionaryGetTypeID() {
                return Vec::new();
            }
            let count = CFDictionaryGetCount(self.lend());
            let Some(room) = usize::try_from(count).ok().filter(|_| count <= MOST) else {
                return Vec::new();
            };
            let (mut keys, mut values) = (vec![std::ptr::null(); room], vec![std::ptr::null(); room]);
            CFDictionaryGetKeysAndValues(self.lend(), keys.as_mut_ptr(), values.as_mut_ptr());
            keys.into_iter().zip(values).collect()
        }
    }

    /// It as a property list. Of a dictionary that holds what no property list can (the registry has sets) or what
    /// cannot be read, that is left out: one odd property does not hide a device.
    pub fn plist(&self) -> Result<Plist, String> {
        // SAFETY: the object is alive.
        if let Some(Ok(plist)) = unsafe { plist(self.lend()) } {
            return Ok(plist);
        }
        let mut dict = Dict::new();
        for (key, value) in self.pairs() {
            // SAFETY: both live as long as the dictionary.
            let read = unsafe { (plist(key), plist(value)) };
            if let (Some(Ok(Plist::Text(key))), Some(Ok(value))) = read {
                dict.insert(key, value);
            }
        }
        if dict.is_empty() { Err("it is no property list".into()) } else { Ok(Plist::Dict(dict)) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: ours to release, once.
        unsafe { CFRelease(self.lend()) }
    }
}

/// An object as a property list; `None` if it is none.
///
/// # Safety
/// `object` is null or alive.
pub unsafe fn plist(object: Ref) -> Option<Result<Plist, String>> {
    // SAFETY: the object is alive; what is created is ours; data has as many bytes as it says.
    unsafe {
        if object.is_null() || CFPropertyListIsValid(object, BINARY) == 0 {
            return None;
        }
        let data = CFPropertyListCreateData(std::ptr::null(), object, BINARY, 0, std::ptr::null_mut());
        let data = Owned::take(data)?;
        let length = usize::try_from(CFDataGetLength(data.lend())).unwrap_or(0);
        if length > MOST_BYTES {
            return Some(Err(format!("it is longer than {MOST_BYTES} bytes")));
        }
        let bytes = CFDataGetBytePtr(data.lend());
        if bytes.is_null() {
            return None;
        }
        Some(plist::parse(std::slice::from_raw_parts(bytes, length)).map_err(|error| error.to_string()))
    }
}
