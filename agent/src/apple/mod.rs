//! What the macOS files of the agent share: property lists, the IOKit registry, Apple's own tools.
//!
//! The registry is read by `ioreg -a`, which prints property lists: reading properties asks nobody for permission
//! (opening a HID device would). Everything but the running of tools is pure and tested on every system.

pub mod ioreg;
pub mod plist;
#[cfg(target_os = "macos")]
pub mod system;
