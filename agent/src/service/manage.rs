//! Makes the agent a service of the operating system, where no package does.

#[cfg_attr(target_os = "linux", path = "manage_packaged.rs")]
#[cfg_attr(target_os = "macos", path = "manage_macos.rs")]
#[cfg_attr(windows, path = "manage_windows.rs")]
mod os;

pub use os::{install, remove};
