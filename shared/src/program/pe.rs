//! Windows programs: version fields, signers, and the Go module.
//!
//! Only the parts that tell are read, wherever in the file they stand: a program of a hundred megabytes costs a dozen
//! small reads. Offsets are those of Microsoft's "PE Format".

use super::{Program, clean, der, go, version};

/// Answers what a file has at an offset, at most so many bytes; fewer at its end, none past it.
pub(super) type Part<'a> = dyn FnMut(u64, usize) -> Vec<u8> + 'a;

/// Largest version resource and largest signature that are read, in bytes.
const MOST_VERSION: usize = 64 << 10;
const MOST_SIGNATURE: usize = 256 << 10;
/// As much of the data section as is searched for what the Go linker put at its start.
const MOST_DATA: usize = 256 << 10;
/// Most sections (the loader's own limit) and most entries of a resource directory.
const MOST_SECTIONS: u16 = 96;
const MOST_ENTRIES: usize = 4096;

/// Of the data directories: resources, signatures.
const RESOURCES: usize = 2;
const SIGNATURES: usize = 4;
/// `RT_VERSION`, a type of resources.
const VERSIONS: u32 = 16;
/// Where something lies below a resource directory; the highest bit says that it is a directory.
const OFFSET: u32 = 0x7fff_ffff;

/// Reads a PE file of either width.
pub(super) fn read(part: &mut Part<'_>) -> Option<Program> {
    let image = Image::read(part)?;
    let mut program = Program::default();
    let version = image.version(part).unwrap_or_default();
    for (name, value) in version::strings(&version) {
        let field = match name.as_str() {
            "OriginalFilename" => "original",
            "InternalName" => "internal",
            "ProductName" => "product",
            "FileDescription" => "description",
            "CompanyName" => "company",
            _ => continue,
        };
        program.set(field, &value);
    }
    for list in [&mut program.names, &mut program.products, &mut program.makers] {
        list.dedup();
        list.truncate(4);
    }
    let signers = image.signature(part).map(|signature| der::signers(&signature)).unwrap_or_default();
    program.makers.extend(signers.iter().map(|name| clean(name)));
    program.modules = image.data(part).and_then(|data| go::in_data(&data)).unwrap_or_default();
    Some(program)
}

/// What the headers say.
struct Image {
    sections: Vec<Section>,
    /// Address and length of the resources.
    resources: Option<(u32, u32)>,
    /// Place in the file (not an address) and length of the signatures.
    signatures: Option<(u32, u32)>,
}

/// A section: where it stands in memory and in the file.
struct Section {
    is_data: bool,
    address: u32,
    offset: u32,
    size: u32,
}

impl Image {
    fn read(part: &mut Part<'_>) -> Option<Self> {
        let dos = part(0, 64);
        let at = u64::from(number(&dos, 0x3c).filter(|_| dos.starts_with(b"MZ"))?);
        let head = part(at, 24 + 112 + 16 * 8);
        if !head.starts_with(b"PE\0\0") {
            return None;
        }
        let optional = half(&head, 20)?;
        let directories = match half(&head, 24)? {
            0x10b => 24 + 96,
            0x20b => 24 + 112,
            _ => return None,
        };
        let count = usize::try_from(number(&head, directories - 4)?).ok()?;
        let directory = |n: usize| {
            let place = (number(&head, directories + n * 8)?, number(&head, directories + n * 8 + 4)?);
            (n < count && place.0 != 0).then_some(place)
        };
        let sections = half(&head, 6)?.min(MOST_SECTIONS);
        let table = part(at + 24 + u64::from(optional), usize::from(sections) * 40);
        let section = |row: &[u8]| {
            Some(Section {
                is_data: row.starts_with(b".data\0"),
                address: number(row, 12)?,
                offset: number(row, 20)?,
                size: number(row, 16)?,
            })
        };
        Some(Self {
            sections: table.chunks_exact(40).filter_map(section).collect(),
            resources: directory(RESOURCES),
            signatures: directory(SIGNATURES),
        })
    }

    /// The first version resource of the first language.
    fn version(&self, part: &mut Part<'_>) -> Option<Vec<u8>> {
        let (base, _) = self.place(self.resources?.0)?;
        let types = entries(part, base);
        let (_, names) = types.iter().find(|(id, _)| *id == VERSIONS)?;
        let (_, languages) = *entries(part, base + u64::from(names & OFFSET)).first()?;
        let (_, data) = *entries(part, base + u64::from(languages & OFFSET)).first()?;
        let entry = part(base + u64::from(data & OFFSET), 16);
        let (at, room) = self.place(number(&entry, 0)?)?;
        let size = usize::try_from(number(&entry, 4)?).ok()?;
        Some(part(at, size.min(room).min(MOST_VERSION)))
    }

    fn signature(&self, part: &mut Part<'_>) -> Option<Vec<u8>> {
        let (at, size) = self.signatures?;
        let mut signature = part(u64::from(at), usize::try_from(size).ok()?.min(MOST_SIGNATURE));
        // Length, revision and kind stand before it.
        (signature.len() > 8).then(|| signature.split_off(8))
    }

    fn data(&self, part: &mut Part<'_>) -> Option<Vec<u8>> {
        let data = self.sections.iter().find(|section| section.is_data)?;
        Some(part(u64::from(data.offset), usize::try_from(data.size).ok()?.min(MOST_DATA)))
    }

    /// Where an address stands in the file, and how many bytes of its section follow.
    fn place(&self, address: u32) -> Option<(u64, usize)> {
        self.sections.iter().find_map(|section| {
            let within = address.checked_sub(section.address).filter(|within| *within < section.size)?;
            let room = usize::try_from(section.size - within).ok()?;
            Some((u64::from(section.offset) + u64::from(within), room))
        })
    }
}

/// Entries of a resource directory: id (or name) and where it leads.
fn entries(part: &mut Part<'_>, at: u64) -> Vec<(u32, u32)> {
    let head = part(at, 16);
    let count = |at| half(&head, at).map_or(0, usize::from);
    let rows = part(at + 16, (count(12) + count(14)).min(MOST_ENTRIES) * 8);
    rows.chunks_exact(8).filter_map(|row| Some((number(row, 0)?, number(row, 4)?))).collect()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}
