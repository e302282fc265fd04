//! What the agent needs of the operating system besides what its sensors read: places, clocks, files that only
//! it may read. One file for each system, all with the same functions.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;
#[cfg(unix)]
mod posix;

pub use os::{
    allocate, boot_id, config_path, create, is_agent, make_folder, open_without_blocking, read_exact_at,
    since_boot, start_hint, state_path, sync_folder, write_all_at,
};

/// Who may read a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// The agent alone, and who administers the laptop.
    Agent,
    /// Everybody on the laptop.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_runs_and_this_process_is_none_of_the_agent() {
        let before = since_boot();
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(since_boot() > before);
        assert_eq!(boot_id(), boot_id());
        assert!(!is_agent(0));
    }
}
