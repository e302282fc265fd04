//! Makes the agent a service of the operating system, where no package does.

#[cfg_attr(windows, path = "manage_windows.rs")]
#[cfg_attr(not(windows), path = "manage_packaged.rs")]
mod os;

pub use os::{install, remove};
