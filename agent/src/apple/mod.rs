//! What the macOS files of the agent share: property lists, the IOKit registry, the kernel.
//!
//! What IOKit answers becomes a property list of the shape that `ioreg -a` prints, and is read as those are: so everything
//! that judges is pure, and tested on every system from recordings. Reading properties asks nobody for permission.

#[cfg(target_os = "macos")]
pub mod arrivals;
pub mod console;
#[cfg(target_os = "macos")]
pub mod core_foundation;
#[cfg(target_os = "macos")]
pub mod iokit;
pub mod ioreg;
pub mod plist;
#[cfg(target_os = "macos")]
pub mod power_sources;
#[cfg(target_os = "macos")]
pub mod system;
