//! Windows programs: version fields, signers, and the Go module.

use object::LittleEndian as LE;
use object::pe::{IMAGE_DIRECTORY_ENTRY_SECURITY, ImageNtHeaders32, ImageNtHeaders64, RT_VERSION};
use object::read::pe::{ImageNtHeaders, PeFile, ResourceDirectoryEntryData};

use super::{Program, clean, der, go, version};

/// Largest version resource and largest signature that are read, in bytes.
const MOST_VERSION: usize = 64 << 10;
const MOST_SIGNATURE: usize = 256 << 10;

/// Reads a PE file of either width.
pub(super) fn read(bytes: &[u8]) -> Option<Program> {
    let mut program = match PeFile::<ImageNtHeaders64>::parse(bytes) {
        Ok(file) => fields(&file, bytes),
        Err(_) => fields(&PeFile::<ImageNtHeaders32>::parse(bytes).ok()?, bytes),
    };
    program.modules = object::File::parse(bytes).map(|file| go::modules(&file)).unwrap_or_default();
    Some(program)
}

fn fields<H: ImageNtHeaders>(file: &PeFile<'_, H>, bytes: &[u8]) -> Program {
    let mut program = Program::default();
    for (name, value) in version_data(file, bytes).map(version::strings).unwrap_or_default() {
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
    let signers = signature(file, bytes).map(der::signers).unwrap_or_default();
    program.makers.extend(signers.iter().map(|name| clean(name)));
    program
}

/// The first version resource of the first language.
fn version_data<'a, H: ImageNtHeaders>(file: &PeFile<'a, H>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let sections = file.section_table();
    let directory = file.data_directories().resource_directory(bytes, &sections).ok()??;
    let root = directory.root().ok()?;
    let of_versions = root
        .entries
        .iter()
        .find(|entry| entry.name_or_id().id() == Some(RT_VERSION))?
        .data(directory)
        .ok()?;
    let ResourceDirectoryEntryData::Table(names) = of_versions else { return None };
    let ResourceDirectoryEntryData::Table(languages) = names.entries.first()?.data(directory).ok()? else {
        return None;
    };
    let ResourceDirectoryEntryData::Data(entry) = languages.entries.first()?.data(directory).ok()? else {
        return None;
    };
    let data = sections.pe_data_at(bytes, entry.offset_to_data.get(LE))?;
    let size = usize::try_from(entry.size.get(LE)).ok()?.min(MOST_VERSION);
    data.get(..size.min(data.len()))
}

/// The signature that stands at the end of the file: its place is an offset in the file, not an address.
fn signature<'a, H: ImageNtHeaders>(file: &PeFile<'a, H>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let place = file.data_directories().get(IMAGE_DIRECTORY_ENTRY_SECURITY)?;
    let at = usize::try_from(place.virtual_address.get(LE)).ok()?;
    let size = usize::try_from(place.size.get(LE)).ok()?.min(MOST_SIGNATURE);
    // Length, revision and kind stand before it.
    bytes.get(at..)?.get(..size.min(bytes.len() - at))?.get(8..)
}
