//! macOS programs: the identifier and the team of their code signature, and the Go module.
//!
//! The signature (`LC_CODE_SIGNATURE`) is a big-endian blob of blobs; its code directory holds both texts.

use object::read::macho::FatArch as _;

use super::{Program, clean, go};

/// The load command that says where the signature is.
const LC_CODE_SIGNATURE: u32 = 0x1d;
/// A signature of many blobs, and the one that is read of it.
const SUPER_BLOB: u32 = 0xfade_0cc0;
const CODE_DIRECTORY: u32 = 0xfade_0c02;
/// Code directories that have a team's name.
const WITH_TEAM: u32 = 0x2_0200;
/// Most blobs and load commands that are looked at.
const MOST: u32 = 256;

/// The bytes begin like a Mach-O file, for one processor or several.
pub(super) fn is(bytes: &[u8]) -> bool {
    let magic = bytes.get(..4).and_then(|m| m.try_into().ok()).map(u32::from_be_bytes);
    magic.is_some_and(|m| [0xcafe_babe, 0xcffa_edfe, 0xcefa_edfe, 0xfeed_face, 0xfeed_facf].contains(&m))
}

/// Reads a Mach-O file; of one for several processors, the first part.
pub(super) fn read(bytes: &[u8]) -> Option<Program> {
    let thin = match big(bytes, 0)? {
        0xcafe_babe => {
            let fat = object::read::macho::MachOFatFile32::parse(bytes).ok()?;
            fat.arches().first()?.data(bytes).ok()?
        }
        _ => bytes,
    };
    // Only thin files of one processor are read on: a file for several within one is none.
    let wide = match big(thin, 0)? {
        0xcffa_edfe => true,
        0xcefa_edfe => false,
        _ => return None,
    };
    let mut program = signature(thin, wide).map(identity).unwrap_or_default();
    program.modules = object::File::parse(thin).map(|file| go::modules(&file)).unwrap_or_default();
    Some(program)
}

/// The bytes of the signature, by its load command.
fn signature(bytes: &[u8], wide: bool) -> Option<&[u8]> {
    let commands = little(bytes, 16)?.min(MOST);
    let mut at = if wide { 32 } else { 28 };
    for _ in 0..commands {
        let size = usize::try_from(little(bytes, at + 4)?).ok()?.max(8);
        if little(bytes, at)? == LC_CODE_SIGNATURE {
            let offset = usize::try_from(little(bytes, at + 8)?).ok()?;
            return bytes.get(offset..);
        }
        at = at.checked_add(size)?;
    }
    None
}

fn identity(signature: &[u8]) -> Program {
    let directory = || {
        (big(signature, 0)? == SUPER_BLOB).then_some(())?;
        (0..big(signature, 8)?.min(MOST)).find_map(|n| {
            let at = big(signature, 12 + 8 * usize::try_from(n).ok()? + 4)?;
            let blob = signature.get(usize::try_from(at).ok()?..)?;
            (big(blob, 0)? == CODE_DIRECTORY).then_some(blob)
        })
    };
    let Some(blob) = directory() else { return Program::default() };
    let text = |at: usize| {
        let offset = usize::try_from(big(blob, at)?).ok().filter(|offset| *offset != 0)?;
        let text: Vec<u8> = blob.get(offset..)?.iter().copied().take_while(|c| *c != 0).take(256).collect();
        Some(clean(&String::from_utf8_lossy(&text))).filter(|text| !text.is_empty())
    };
    let team = big(blob, 8).filter(|version| *version >= WITH_TEAM).and_then(|_| text(48));
    Program { bundle: text(20), team, ..Program::default() }
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn little(bytes: &[u8], at: usize) -> Option<u32> {
    big(bytes, at).map(u32::swap_bytes)
}
