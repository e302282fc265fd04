//! A segment: a file of records, each `length (u32) check (u32) seq (u64) payload`, little-endian.
//!
//! `check` is the first four bytes of SHA-256 over number and payload. A record is there whole or it is not
//! there: the first one that does not check ends the segment.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::system;

/// Bytes before each payload.
pub const HEADER: u64 = HEADER_LENGTH as u64;
const HEADER_LENGTH: usize = 16;
/// Longest payload that is believed; a larger length is a torn or foreign record.
const MAX_PAYLOAD: usize = 8 << 20;
const SUFFIX: &str = "seg";

/// A record.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// Its report's number.
    pub seq: u64,
    /// Its report as JSON.
    pub payload: Vec<u8>,
}

/// Bytes of a record.
pub fn encode(seq: u64, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(payload.len() + 16);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&check(seq, payload));
    bytes.extend_from_slice(&seq.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads the record at `offset`; `None` at the end or where none is whole.
pub fn read(file: &File, offset: u64) -> io::Result<Option<Record>> {
    let mut header = [0; HEADER_LENGTH];
    if !fill(file, &mut header, offset)? {
        return Ok(None);
    }
    let (length, expected, seq) = parse_header(&header);
    if length == 0 || length > MAX_PAYLOAD {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    if !fill(file, &mut payload, offset + HEADER)? || check(seq, &payload) != expected {
        return Ok(None);
    }
    Ok(Some(Record { seq, payload }))
}

/// Number and whole length of the record at `offset`, unchecked: for records that were checked before.
pub fn peek(file: &File, offset: u64) -> io::Result<Option<(u64, u64)>> {
    let mut header = [0; HEADER_LENGTH];
    if !fill(file, &mut header, offset)? {
        return Ok(None);
    }
    let (length, _, seq) = parse_header(&header);
    let plausible = length > 0 && length <= MAX_PAYLOAD;
    Ok(plausible.then_some((seq, HEADER + length as u64)))
}

/// What a segment holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Bytes up to the end of the last whole record.
    pub good: u64,
    /// Bytes in the file.
    pub length: u64,
    /// Number of the last whole record; 0 if there is none.
    pub last: u64,
    /// Some report in it carries windows.
    pub windows: bool,
}

/// Reads a segment through.
pub fn scan(file: &mut File) -> io::Result<Scan> {
    let mut scan = Scan { length: file.seek(SeekFrom::End(0))?, ..Scan::default() };
    while let Some(record) = read(file, scan.good)? {
        if record.seq <= scan.last {
            break;
        }
        scan.last = record.seq;
        scan.windows |= has_windows(&record.payload);
        scan.good += HEADER + record.payload.len() as u64;
    }
    Ok(scan)
}

/// A report's JSON carries windows. Looks for the field's name; a fact that holds these very bytes only
/// costs a needless look at the segment.
pub fn has_windows(payload: &[u8]) -> bool {
    const FIELD: &[u8] = b"\"windows\":[";
    payload.windows(FIELD.len()).any(|part| part == FIELD)
}

/// A segment's path: named by the number of its first record.
pub fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.{SUFFIX}"))
}

/// First numbers of a folder's segments, in order.
pub fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_segment = path.extension().is_some_and(|e| e == SUFFIX);
        let first = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
        if let (true, Some(first)) = (is_segment, first) {
            firsts.push(first);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

fn parse_header(header: &[u8; HEADER_LENGTH]) -> (usize, [u8; 4], u64) {
    let part = |from: usize| [header[from], header[from + 1], header[from + 2], header[from + 3]];
    let length = u32::from_le_bytes(part(0));
    let seq = u64::from(u32::from_le_bytes(part(8))) | u64::from(u32::from_le_bytes(part(12))) << 32;
    (length as usize, part(4), seq)
}

fn check(seq: u64, payload: &[u8]) -> [u8; 4] {
    let mut hash = Sha256::new();
    hash.update(seq.to_le_bytes());
    hash.update(payload);
    let hash = hash.finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Fills `buffer` from `offset`; false where the file ends before.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
    match system::read_exact_at(file, buffer, offset) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

/// All whole records of a segment.
pub fn records(path: &Path) -> io::Result<Vec<Record>> {
    let file = File::open(path)?;
    let (mut records, mut offset) = (Vec::new(), 0);
    while let Some(record) = read(&file, offset)? {
        offset += HEADER + record.payload.len() as u64;
        records.push(record);
    }
    Ok(records)
}
