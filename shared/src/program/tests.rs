use proptest::prelude::*;

use super::*;

/// A block of version information: its strings are its last level.
fn block(name: &str, value: &[u8], is_text: bool, children: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![0; 6];
    out.extend(wide(name));
    pad(&mut out);
    out.extend(value);
    for child in children {
        pad(&mut out);
        out.extend(child);
    }
    let length = u16::try_from(out.len()).unwrap();
    let words = if is_text { value.len() / 2 } else { value.len() };
    out[..2].copy_from_slice(&length.to_le_bytes());
    out[2..4].copy_from_slice(&u16::try_from(words).unwrap().to_le_bytes());
    out[4..6].copy_from_slice(&u16::from(is_text).to_le_bytes());
    out
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

fn version_information(strings: &[(&str, &str)]) -> Vec<u8> {
    let strings: Vec<_> = strings.iter().map(|(name, value)| block(name, &wide(value), true, &[])).collect();
    let language = block("040904b0", &[], true, &strings);
    let strings = block("StringFileInfo", &[], true, &[language]);
    block("VS_VERSION_INFO", &[0; 52], false, &[strings])
}

/// A PE file of one section, which holds only this version resource.
fn pe(version: &[u8]) -> Vec<u8> {
    const ADDRESS: u32 = 0x1000;
    let mut resources = Vec::new();
    // Type 16 → name 1 → language 1033 → data.
    for (id, offset) in [(16u32, 0x8000_0018u32), (1, 0x8000_0030), (1033, 0x48)] {
        resources.extend([0; 12]);
        resources.extend([0, 0, 1, 0]);
        resources.extend(id.to_le_bytes());
        resources.extend(offset.to_le_bytes());
    }
    resources.extend((ADDRESS + 0x58).to_le_bytes());
    resources.extend(u32::try_from(version.len()).unwrap().to_le_bytes());
    resources.extend([0; 8]);
    resources.extend(version);
    let size = u32::try_from(resources.len()).unwrap();

    let mut out = b"MZ".to_vec();
    out.resize(0x3c, 0);
    out.extend(0x40u32.to_le_bytes());
    out.extend(b"PE\0\0");
    out.extend([0x64, 0x86, 1, 0]);
    out.extend([0; 12]);
    out.extend(240u16.to_le_bytes());
    out.extend([0x22, 0]);
    let optional = out.len();
    out.extend(0x20bu16.to_le_bytes());
    out.resize(optional + 32, 0);
    out.extend(0x1000u32.to_le_bytes());
    out.extend(0x200u32.to_le_bytes());
    out.resize(optional + 108, 0);
    out.extend(16u32.to_le_bytes());
    out.resize(optional + 112 + 16, 0);
    out.extend(ADDRESS.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.resize(optional + 240, 0);
    out.extend(b".rsrc\0\0\0");
    out.extend(size.to_le_bytes());
    out.extend(ADDRESS.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(0x200u32.to_le_bytes());
    out.extend([0; 12]);
    out.extend(0x4000_0040u32.to_le_bytes());
    out.resize(0x200, 0);
    out.extend(resources);
    out
}

fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], &content].concat()
}

fn certificate(issuer: &str, subject: &str) -> Vec<u8> {
    let name = |text: &str| {
        let pair = der(0x30, &[&der(6, &[&[0x55, 4, 3]]), &der(0x0c, &[text.as_bytes()])]);
        der(0x30, &[&der(0x31, &[&pair])])
    };
    let empty = der(0x30, &[]);
    let version = der(0xa0, &[&der(2, &[&[2]])]);
    let serial = der(2, &[&[1]]);
    let tbs = der(0x30, &[&version, &serial, &empty, &name(issuer), &empty, &name(subject), &empty]);
    der(0x30, &[&tbs, &empty])
}

fn signature() -> Vec<u8> {
    let certificates =
        [certificate("Root", "Root"), certificate("Root", "CA"), certificate("CA", "philandro GmbH")];
    let set = der(0xa0, &certificates.each_ref().map(Vec::as_slice));
    let signed = der(0x30, &[&der(2, &[&[1]]), &der(0x31, &[]), &der(0x30, &[]), &set]);
    der(0x30, &[&der(6, &[&[1]]), &der(0xa0, &[&signed])])
}

fn macho() -> Vec<u8> {
    let mut directory = vec![0; 64];
    directory[..4].copy_from_slice(&0xfade_0c02_u32.to_be_bytes());
    directory[8..12].copy_from_slice(&0x2_0400_u32.to_be_bytes());
    directory[20..24].copy_from_slice(&64u32.to_be_bytes());
    directory[48..52].copy_from_slice(&86u32.to_be_bytes());
    directory.extend(b"com.philandro.anydesk\0KU6W3B6JMZ\0");
    let mut out = 0xfeed_facf_u32.to_le_bytes().to_vec();
    out.extend([0x0c, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0]);
    out.resize(32, 0);
    for word in [0x1du32, 16, 48, 200] {
        out.extend(word.to_le_bytes());
    }
    for word in [0xfade_0cc0_u32, 0, 1, 0, 20] {
        out.extend(word.to_be_bytes());
    }
    out.extend(directory);
    out
}

#[test]
fn a_renamed_program_still_says_who_made_it() {
    let strings =
        [("CompanyName", "philandro Software GmbH"), ("ProductName", "AnyDesk"), ("FileVersion", "9.7")];
    let program = Program::read(&pe(&version_information(&strings))).unwrap();
    assert_eq!(program.makers, ["philandro Software GmbH"]);
    assert_eq!(program.products, ["AnyDesk"]);
}

/// The parts of Node.js' `node.exe` that are read (tests/fixtures), of a file of 105 MB.
fn node_exe() -> impl FnMut(u64, usize) -> Vec<u8> {
    let text = include_str!("../../tests/fixtures/node_exe.parts");
    let lines = text.lines().filter_map(|line| line.split_once(' ')).filter(|(at, _)| *at != "#");
    let parts: Vec<(usize, Vec<u8>)> =
        lines.map(|(at, bytes)| (at.parse().unwrap(), hex::decode(bytes).unwrap())).collect();
    move |at, length| {
        let at = usize::try_from(at).unwrap();
        let part = parts.iter().find(|(from, bytes)| (*from..from + bytes.len()).contains(&at));
        let rest = part.map(|(from, bytes)| &bytes[at - from..]).unwrap_or_default();
        rest[..length.min(rest.len())].to_vec()
    }
}

#[test]
fn a_large_signed_program_says_its_name_product_and_signer_in_a_dozen_reads() {
    let (mut file, mut reads, mut bytes) = (node_exe(), 0, 0);
    let program = Program::of_windows(&mut |at, length| {
        reads += 1;
        bytes += length;
        file(at, length)
    });
    let program = program.unwrap();
    assert_eq!(program.names, ["node.exe", "node"]);
    assert_eq!(program.products, ["Node.js", "Node.js JavaScript Runtime"]);
    assert_eq!(program.makers, ["Node.js", "OpenJS Foundation"]);
    assert!(reads <= 16 && bytes <= 400 << 10, "{reads} reads of {bytes} bytes");
}

#[test]
fn the_signer_is_the_certificate_that_issued_no_other() {
    assert_eq!(der::signers(&signature()), ["philandro GmbH"]);
}

#[test]
fn a_macs_program_says_its_bundle_and_team() {
    let program = Program::read(&macho()).unwrap();
    assert_eq!(program.bundle.as_deref(), Some("com.philandro.anydesk"));
    assert_eq!(program.team.as_deref(), Some("KU6W3B6JMZ"));
}

/// An ELF file of one data segment, at whose start stands what the Go linker writes.
fn go_program(path: &str) -> Vec<u8> {
    let lines = format!("{m}path\t{path}\nbuild\tGOOS=linux\n{m}", m = "0123456789abcdef");
    let mut data = b"\xff Go buildinf:\x08\x02".to_vec();
    data.resize(32, 0);
    for text in ["go1.24", &lines] {
        let length = u16::try_from(text.len()).unwrap();
        data.extend([u8::try_from(length & 0x7f).unwrap() | 0x80, u8::try_from(length >> 7).unwrap()]);
        data.extend(text.as_bytes());
    }
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(16, 0);
    out.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    out.extend(0u64.to_le_bytes());
    out.extend(64u64.to_le_bytes()); // program headers
    out.extend(0u64.to_le_bytes());
    out.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    out.extend([1, 0, 0, 0, 6, 0, 0, 0]);
    for word in [128u64, 0x40_0080, 0x40_0080, data.len() as u64, data.len() as u64, 16] {
        out.extend(word.to_le_bytes());
    }
    out.resize(128, 0);
    out.extend(data);
    out
}

#[test]
fn a_go_program_says_what_it_was_built_from_though_it_has_no_sections() {
    let bytes = go_program("github.com/elisescu/tty-share");
    let program = Program::read_elf(std::io::Cursor::new(&bytes)).unwrap();
    assert_eq!(program.modules, ["github.com/elisescu/tty-share"]);
    assert_eq!(Program::read(&bytes).unwrap(), program);
}

#[test]
fn an_elf_file_is_read_and_anything_else_is_refused_with_a_reason() {
    let me = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let whole = Program::read(&me).unwrap();
    assert!(whole.needs.iter().any(|library| library.starts_with("libc.so")), "{whole:?}");
    let in_parts = Program::read_elf(std::fs::File::open(std::env::current_exe().unwrap()).unwrap()).unwrap();
    assert_eq!(whole, in_parts);
    assert!(Program::read(b"#!/bin/sh\n").unwrap_err().to_string().contains("neither PE"));
    assert!(Program::read(b"MZ").unwrap_err().to_string().contains("PE header"));
}

proptest! {
    #[test]
    fn junk_truncation_and_wrong_lengths_never_panic(
        at in 0usize..2000, byte: u8, cut in 0usize..2000, junk in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let strings = [("CompanyName", "a"), ("OriginalFilename", "b.exe")];
        let elf = [go_program("x.org/y"), [b"\x7fELF".as_slice(), &junk].concat()];
        for good in [pe(&version_information(&strings)), macho()].into_iter().chain(elf) {
            let mut bad = good.clone();
            let at = at % bad.len();
            bad[at] = byte;
            let _ = Program::read(&bad);
            let _ = Program::read(&good[..cut.min(good.len())]);
            let _ = Program::read(&[&good[..at], &junk].concat());
        }
        let mut bad = signature();
        let place = at % bad.len();
        bad[place] = byte;
        let _ = (der::signers(&bad), version::strings(&junk), der::signers(&junk));
    }

    #[test]
    fn an_elf_header_that_lies_ends(at in 0usize..0x2000, bytes: [u8; 8], cut in 0usize..0x1_0000) {
        use std::io::Read as _;
        let mut bad = Vec::new();
        std::fs::File::open(std::env::current_exe().unwrap()).unwrap().take(0x1_0000).read_to_end(&mut bad).unwrap();
        bad[at..at + 8].copy_from_slice(&bytes);
        let whole = Program::read(&bad);
        let in_parts = Program::read_elf(std::io::Cursor::new(&bad));
        prop_assert_eq!(whole.is_ok(), in_parts.is_ok());
        let _ = Program::read_elf(std::io::Cursor::new(&bad[..cut]));
    }

    #[test]
    fn version_information_that_holds_itself_ends(levels in 1usize..400) {
        let mut data = block("x", &[], true, &[]);
        for _ in 0..levels.min(60) {
            data = block("x", &[], true, &[data.clone(), data.iter().take(40).copied().collect()]);
            if data.len() > 60_000 { break; }
        }
        prop_assert!(version::strings(&data).len() <= 400);
    }
}
