//! Windows. Files and folders get their access list when they are created, so there is no moment at which others
//! could read a secret; NTFS keeps names by its own journal, so folders need no sync.

#![allow(unsafe_code, reason = "calls the Windows API; each call says why it is sound")]

use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt as _;
use std::os::windows::fs::FileExt as _;
use std::os::windows::io::{FromRawHandle as _, OwnedHandle};
use std::path::{Path, PathBuf};
use std::time::Duration;

use windows_registry::LOCAL_MACHINE;
use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, GENERIC_WRITE, INVALID_HANDLE_VALUE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION,
    PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES, SetFileSecurityW,
};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_ALWAYS, CreateDirectoryW, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::SystemInformation::GetTickCount64;
use windows_sys::Win32::System::Threading::{
    OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use super::Readers;

/// System, administrators and whoever owns it; children inherit. `P`: nothing from above is inherited.
const FOR_AGENT: &str = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;S-1-3-4)";
/// The same, and everybody who is logged in may read.
const FOR_ALL: &str = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;S-1-3-4)(A;OICI;FRFX;;;BU)";

/// The configuration file.
pub fn config_path() -> PathBuf {
    home().join("agent.toml")
}

/// The state folder, unless something says otherwise.
pub fn state_path() -> PathBuf {
    home().join("state")
}

fn home() -> PathBuf {
    let data = std::env::var_os("ProgramData").unwrap_or_else(|| r"C:\ProgramData".into());
    Path::new(&data).join("Farmwatch")
}

/// Time since the machine started, sleep included.
pub fn since_boot() -> Duration {
    // SAFETY: takes nothing and always succeeds.
    Duration::from_millis(unsafe { GetTickCount64() })
}

/// Names this run of the operating system: a random word in a key of the registry that a restart takes away.
/// Empty for who may not write there. (A fast start-up resumes the same run, and its clock goes on as well.)
pub fn boot_id() -> String {
    const VALUE: &str = "Id";
    let key = LOCAL_MACHINE.options().read().write().create().volatile().open(r"SOFTWARE\Farmwatch\Boot");
    let Ok(key) = key else { return String::new() };
    if let Ok(id) = key.get_string(VALUE) {
        return id;
    }
    let id = hex::encode(crate::clock::random::<16>());
    if key.set_string(VALUE, &id).is_ok() { id } else { String::new() }
}

/// Creates or empties a file.
pub fn create(path: &Path, readers: Readers) -> io::Result<File> {
    let (name, access) = (wide(path), Access::new(readers)?);
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: the name ends with a zero, the attributes live until the call returns.
    let handle = unsafe {
        CreateFileW(
            name.as_ptr(),
            GENERIC_WRITE,
            share,
            &access.attributes(),
            CREATE_ALWAYS,
            FILE_ATTRIBUTE_NORMAL,
            std::ptr::null_mut(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle is a file's, ours alone, and closed by its owner from here on.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(handle) }))
}

/// Makes a folder if there is none, with those above it.
///
/// Anybody may make folders in `ProgramData`, so one of ours that is there already gets its owner and its access
/// list anew.
pub fn make_folder(folder: &Path, readers: Readers) -> io::Result<()> {
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty() && !above.exists()) {
        make_folder(above, readers)?;
    }
    let (name, access) = (wide(folder), Access::new(readers)?);
    // SAFETY: the name ends with a zero, the attributes live until the call returns.
    if unsafe { CreateDirectoryW(name.as_ptr(), &access.attributes()) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(ERROR_ALREADY_EXISTS.cast_signed()) {
        return Err(error);
    }
    if folder.starts_with(home()) {
        take_over(&name, readers)?;
    }
    Ok(())
}

fn take_over(name: &[u16], readers: Readers) -> io::Result<()> {
    let list = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    let owned = Access::of("O:BA", readers)?;
    // SAFETY: the name ends with a zero, the descriptor lives until the call returns.
    if unsafe { SetFileSecurityW(name.as_ptr(), OWNER_SECURITY_INFORMATION | list, owned.0) } != 0 {
        return Ok(());
    }
    // Not an administrator: then the folder is the user's own, or it fails here.
    // SAFETY: likewise.
    if unsafe { SetFileSecurityW(name.as_ptr(), list, owned.0) } != 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// NTFS journals names: there is nothing to do.
#[allow(clippy::unnecessary_wraps, reason = "other systems can fail here")]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Gives a file its room on the disk: NTFS does so when a file is made longer.
pub fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}

/// Opens for reading. Pipes and devices have names of their own here, which no sensor opens.
pub fn open_without_blocking(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Writes all bytes at an offset.
pub fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Fills a buffer from an offset; an error where the file ends before.
pub fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = file.seek_read(buffer, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = &mut buffer[read..];
        offset += read as u64;
    }
    Ok(())
}

/// A process is a running agent.
pub fn is_agent(pid: u32) -> bool {
    let path = image(pid).unwrap_or_default().to_lowercase();
    path.rsplit('\\').next().is_some_and(|name| name.starts_with("farmwatch-agent"))
}

/// How the service is started here by hand.
pub fn start_hint() -> Option<&'static str> {
    Some("sc start FarmwatchAgent")
}

/// The path of a process's program.
fn image(pid: u32) -> Option<String> {
    // SAFETY: takes numbers; the handle that it gives is ours.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: the handle is valid and ours alone.
    let owned = unsafe { OwnedHandle::from_raw_handle(handle) };
    let mut path = [0u16; 1024];
    let mut length = 1024;
    // SAFETY: the buffer has the length that is told; the handle is open while `owned` lives.
    let read = unsafe { QueryFullProcessImageNameW(handle, 0, path.as_mut_ptr(), &raw mut length) };
    drop(owned);
    (read != 0).then(|| String::from_utf16_lossy(&path[..length as usize]))
}

fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

/// A security descriptor, made from its text.
struct Access(PSECURITY_DESCRIPTOR);

impl Access {
    fn new(readers: Readers) -> io::Result<Self> {
        Self::of("", readers)
    }

    fn of(owner: &str, readers: Readers) -> io::Result<Self> {
        let list = if readers == Readers::Agent { FOR_AGENT } else { FOR_ALL };
        let text: Vec<u16> = format!("{owner}{list}").encode_utf16().chain([0]).collect();
        let mut descriptor = std::ptr::null_mut();
        // SAFETY: the text ends with a zero; the descriptor is allocated by the call and freed by `drop`.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                std::ptr::null_mut(),
            )
        };
        if made == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(descriptor)) }
    }

    /// What a file is created with; valid while this lives.
    fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        // SAFETY: allocated by the system for us with LocalAlloc, freed once.
        unsafe { LocalFree(self.0) };
    }
}
