//! ELF programs: the build id that the linker gave them, the libraries that they need, the Go module.
//!
//! Only headers and small tables are read, each within a bound: a program may be a gigabyte, or claim to be.

use std::io::{Read, Seek};
use std::ops::Range;

use object::Endianness;
use object::elf::{
    DT_NEEDED, DT_STRTAB, ELF_NOTE_GNU, FileHeader32, FileHeader64, NT_GNU_BUILD_ID, PF_W, PF_X, PT_LOAD,
};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _};
use object::read::{ReadCache, ReadRef};

use super::{Program, clean, go};

/// Most bytes that are read in one piece.
const MOST: u64 = 1 << 20;
/// As much of a data segment is searched for the Go module where no section tells where it is.
const MOST_DATA: u64 = 64 << 10;
/// Lengths that a build id can have.
const BUILD_ID: Range<usize> = 8..65;
/// Most libraries that are kept.
const MOST_NEEDED: usize = 64;
/// Longest name of a library.
const LONGEST_NAME: u64 = 200;

/// Reads an ELF program of either width. `None` if its header is broken.
pub(super) fn read<'d>(data: impl ReadRef<'d>) -> Option<Program> {
    match data.read_bytes_at(4, 1).ok()? {
        [1] => of::<FileHeader32<Endianness>, _>(data),
        [2] => of::<FileHeader64<Endianness>, _>(data),
        _ => None,
    }
}

/// The same, from a file of which only what is needed is read.
pub(super) fn read_from(source: impl Read + Seek) -> Option<Program> {
    let cache = ReadCache::new(source);
    read(Bounded(&cache))
}

fn of<'d, Elf, R>(data: R) -> Option<Program>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = Elf::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, data).unwrap_or_default();
    Some(Program {
        build_id: build_id::<Elf, R>(segments, endian, data),
        needs: needs::<Elf, R>(segments, endian, data).unwrap_or_default(),
        modules: modules::<Elf, R>(header, segments, endian, data).unwrap_or_default(),
        ..Program::default()
    })
}

fn build_id<'d, Elf, R>(segments: &[Elf::ProgramHeader], endian: Endianness, data: R) -> Option<String>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    segments.iter().filter_map(|segment| segment.notes(endian, data).ok().flatten()).find_map(|mut notes| {
        while let Ok(Some(note)) = notes.next() {
            if note.name() == ELF_NOTE_GNU && note.n_type(endian) == NT_GNU_BUILD_ID {
                return Some(note.desc()).filter(|id| BUILD_ID.contains(&id.len())).map(hex::encode);
            }
        }
        None
    })
}

/// Names of shared libraries: offsets into a table of strings that the loader finds by its address.
fn needs<'d, Elf, R>(segments: &[Elf::ProgramHeader], endian: Endianness, data: R) -> Option<Vec<String>>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let dynamic = segments.iter().find_map(|segment| segment.dynamic(endian, data).ok().flatten())?;
    let address = dynamic.iter().find(|entry| entry.tag(endian) == DT_STRTAB)?.val(endian);
    let table = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
        let within = address.checked_sub(segment.p_vaddr(endian).into())?;
        let size: u64 = segment.p_filesz(endian).into();
        (within < size).then(|| segment.p_offset(endian).into().checked_add(within))?
    })?;
    let name = |offset: u64| {
        let start = table.checked_add(offset)?;
        let end = start.checked_add(LONGEST_NAME)?.min(data.len().ok()?);
        let name = data.read_bytes_at_until(start..end, 0).ok()?;
        Some(clean(&String::from_utf8_lossy(name))).filter(|name| !name.is_empty())
    };
    let needed = dynamic.iter().filter(|entry| entry.tag(endian) == DT_NEEDED).take(MOST_NEEDED);
    Some(needed.filter_map(|entry| name(entry.val(endian))).collect())
}

/// By its own section, or else, as most linkers put it, at the start of the data.
fn modules<'d, Elf, R>(
    header: &Elf,
    segments: &[Elf::ProgramHeader],
    endian: Endianness,
    data: R,
) -> Option<Vec<String>>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let sections = header.sections(endian, data).ok();
    let section = sections.and_then(|sections| sections.section_by_name(endian, b".go.buildinfo"));
    if let Some((_, section)) = section {
        return go::in_data(section.data(endian, data).ok()?);
    }
    let is_data = |segment: &&Elf::ProgramHeader| {
        let flags = segment.p_flags(endian);
        segment.p_type(endian) == PT_LOAD && flags.contains(PF_W) && !flags.contains(PF_X)
    };
    let segment = segments.iter().find(is_data)?;
    let size = segment.p_filesz(endian).into().min(MOST_DATA);
    go::in_data(data.read_bytes_at(segment.p_offset(endian).into(), size).ok()?)
}

/// Refuses to read much at once, whatever a header says.
struct Bounded<'a, S: Read + Seek>(&'a ReadCache<S>);

impl<S: Read + Seek> Clone for Bounded<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Read + Seek> Copy for Bounded<'_, S> {}

impl<'a, S: Read + Seek> ReadRef<'a> for Bounded<'a, S> {
    fn len(self) -> Result<u64, ()> {
        self.0.len()
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        if size > MOST { Err(()) } else { self.0.read_bytes_at(offset, size) }
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        self.0.read_bytes_at_until(range, delimiter)
    }
}
