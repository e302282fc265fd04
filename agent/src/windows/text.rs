//! Text as the Windows API has it: UTF-16 that ends with a zero.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

/// A text for a call.
pub fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// What a call wrote into a buffer, up to the zero.
pub fn of_buffer(buffer: &[u16]) -> String {
    let end = buffer.iter().position(|unit| *unit == 0).unwrap_or(buffer.len());
    String::from_utf16_lossy(&buffer[..end])
}

/// Longest text that is followed to its zero.
const LONGEST: usize = 32 << 10;

/// The text that a pointer of the system's leads to; empty for none.
///
/// # Safety
/// The pointer is null or leads to UTF-16 that ends with a zero and lives until this returns.
pub unsafe fn of_pointer(pointer: *const u16) -> String {
    if pointer.is_null() {
        return String::new();
    }
    let mut length = 0;
    // SAFETY: the caller's promise: there is a zero, and nothing past it is read.
    while length < LONGEST && unsafe { *pointer.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: these units were just read.
    String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(pointer, length) })
}
