//! What the kernel knows of a TCP connection's path.

use std::os::fd::{AsFd, AsRawFd as _};

use crate::store::Observed;

/// Asks the kernel for round trip and segment size; nothing where it does not tell.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "getsockopt(TCP_INFO) has no safe wrapper in the crates that we use")]
pub fn observe(socket: &impl AsFd) -> Observed {
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or(0);
    // SAFETY: `tcp_info` is plain integers, for which all-zero bytes are a value. The descriptor is borrowed, so it
    // is open during the call. The kernel writes at most `length` bytes, the size of `info`.
    let (info, result) = unsafe {
        let mut info: libc::tcp_info = std::mem::zeroed();
        let result = libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        );
        (info, result)
    };
    if result != 0 {
        return Observed::default();
    }
    let some = |value: u32| Some(value).filter(|value| *value > 0);
    // The kernel tells microseconds; below half a millisecond counts as one.
    let rtt_ms = some(info.tcpi_rtt).map(|micros| (micros.saturating_add(500) / 1000).max(1));
    Observed { rtt_ms, mss: some(info.tcpi_snd_mss) }
}

/// Other systems: not asked.
#[cfg(not(target_os = "linux"))]
pub fn observe(_: &impl AsFd) -> Observed {
    Observed::default()
}
