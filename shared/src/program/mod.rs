//! What a program says of itself in its own bytes, and a change of its file's name leaves: Windows' version
//! fields and signer, macOS' code-signing identity, the ELF build id, and the Go module that it was built from.
//!
//! Pure functions over bytes (an agent maps the file; only the parts needed are touched). Everything in them may
//! be made up by whoever made the program: it is found, bounded and compared, never trusted. Signatures are *not*
//! checked here: a forged name can only make a program look like a remote tool.

mod der;
mod elf;
mod go;
mod macho;
mod pe;
mod version;

use std::io::{Read, Seek, SeekFrom};

/// Most characters kept of one field.
const MOST_CHARS: usize = 200;
/// Most signers kept.
const MOST_SIGNERS: usize = 4;

/// What a program says of itself. Fields that it lacks are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its original file name and internal name (Windows).
    pub names: Vec<String>,
    /// Its product's name and its description (Windows).
    pub products: Vec<String>,
    /// Its company (Windows), and the names of those who signed it, without a check of the signature.
    pub makers: Vec<String>,
    /// Bundle id, or the identifier that it was signed with (macOS): `com.philandro.anydesk`.
    pub bundle: Option<String>,
    /// Team that signed it (macOS), ten letters and digits.
    pub team: Option<String>,
    /// The GNU build id in hex (Linux).
    pub build_id: Option<String>,
    /// Names of the shared libraries that it needs (Linux): `libvncserver.so.1`.
    pub needs: Vec<String>,
    /// Path of the Go package and module that it was built from: `github.com/fatedier/frp/cmd/frpc`.
    pub modules: Vec<String>,
}

/// Bytes that are no program that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a program that can be read: {0}")]
pub struct BadProgram(String);

impl Program {
    /// Reads an executable of any of the three systems.
    pub fn read(bytes: &[u8]) -> Result<Self, BadProgram> {
        match bytes {
            [b'M', b'Z', ..] => Self::of_windows(&mut |at, length| {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                bytes[from..from.saturating_add(length).min(bytes.len())].to_vec()
            }),
            [0x7f, b'E', b'L', b'F', ..] => {
                elf::read(bytes).ok_or_else(|| BadProgram("its ELF header is broken".into()))
            }
            _ if macho::is(bytes) => {
                macho::read(bytes).ok_or_else(|| BadProgram("its Mach-O header is broken".into()))
            }
            _ => Err(BadProgram("neither PE, ELF nor Mach-O".into())),
        }
    }

    /// Reads an ELF program of which only headers and small tables are fetched, however long it is.
    pub fn read_elf(mut source: impl Read + Seek) -> Result<Self, BadProgram> {
        let mut magic = [0; 4];
        let begun = source.seek(SeekFrom::Start(0)).and_then(|_| source.read_exact(&mut magic));
        begun.map_err(|error| BadProgram(error.to_string()))?;
        if magic != *b"\x7fELF" {
            return Err(BadProgram("not ELF".into()));
        }
        elf::read_from(source).ok_or_else(|| BadProgram("its ELF header is broken".into()))
    }

    /// Reads a Windows executable by the few parts of it that tell. `part` answers what the file has at an offset, at
    /// most so many bytes.
    pub fn of_windows(part: &mut dyn FnMut(u64, usize) -> Vec<u8>) -> Result<Self, BadProgram> {
        pe::read(part).ok_or_else(|| BadProgram("its PE header is broken".into()))
    }

    /// Reads one `field=value` of a list as `judge process` takes it. Unknown fields are passed over.
    pub fn set(&mut self, field: &str, value: &str) {
        let value = clean(value);
        match field {
            _ if value.is_empty() => {}
            "original" | "internal" => self.names.push(value),
            "product" | "description" => self.products.push(value),
            "company" | "signer" => self.makers.push(value),
            "bundle" => self.bundle = Some(value),
            "team" => self.team = Some(value),
            "build_id" => self.build_id = Some(value),
            "module" => self.modules.push(value),
            "needs" => self.needs.push(value),
            _ => {}
        }
    }
}

/// Text of a stranger: no control characters, no white space around, bounded.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_CHARS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests;
