//! Who signed a Windows program: the names in the certificates of its PKCS #7 signature. Reads what it needs of
//! DER and no more; nothing is verified.

use super::MOST_SIGNERS;

/// Most certificates that are read of a signature.
const MOST_CERTIFICATES: usize = 16;
/// Common name and organisation.
const NAMES: [&[u8]; 2] = [&[0x55, 4, 3], &[0x55, 4, 10]];

/// A DER element: its tag and its content.
type Element<'a> = (u8, &'a [u8]);

/// Common names and organisations of the certificates that no other one of the signature was issued by.
pub(super) fn signers(signature: &[u8]) -> Vec<String> {
    certificates(signature).map(|certificates| of_leaves(&certificates)).unwrap_or_default()
}

struct Certificate<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
}

fn of_leaves(certificates: &[Certificate<'_>]) -> Vec<String> {
    let is_leaf = |one: &&Certificate<'_>| {
        one.issuer != one.subject && !certificates.iter().any(|other| other.issuer == one.subject)
    };
    let mut found: Vec<String> =
        certificates.iter().filter(is_leaf).flat_map(|one| names(one.subject)).collect();
    found.dedup();
    found.truncate(MOST_SIGNERS);
    found
}

/// `ContentInfo { type, [0] SignedData { version, digests, content, [0] certificates, … } }`
fn certificates(signature: &[u8]) -> Option<Vec<Certificate<'_>>> {
    let (_, info) = next(signature)?.0;
    let (_, wrapped) = elements(info).find(|(tag, _)| *tag == 0xa0)?;
    let (_, signed) = next(wrapped)?.0;
    let (_, set) = elements(signed).find(|(tag, _)| *tag == 0xa0)?;
    Some(elements(set).take(MOST_CERTIFICATES).filter_map(|(_, one)| certificate(one)).collect())
}

/// `Certificate { tbs { [0] version, serial, algorithm, issuer, validity, subject, … }, … }`
fn certificate(content: &[u8]) -> Option<Certificate<'_>> {
    let (_, tbs) = next(content)?.0;
    let mut parts = elements(tbs).filter(|(tag, _)| *tag == 0x30).map(|(_, part)| part);
    let (_algorithm, issuer, _validity, subject) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Certificate { issuer, subject })
}

/// `Name { SET { SEQUENCE { kind, text } } }`
fn names(subject: &[u8]) -> Vec<String> {
    let attribute = |(_, set)| {
        let (_, pair) = next(set)?.0;
        let mut parts = elements(pair);
        let (_, kind) = parts.next()?;
        let (tag, text) = parts.next()?;
        NAMES.contains(&kind).then(|| decoded(tag, text))
    };
    elements(subject).take(16).filter_map(attribute).collect()
}

/// Text as certificates hold it: UTF-16 big endian (BMPString), or UTF-8 and what is part of it.
fn decoded(tag: u8, text: &[u8]) -> String {
    if tag == 0x1e {
        let units: Vec<u16> =
            text.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        return String::from_utf16_lossy(&units);
    }
    String::from_utf8_lossy(text).into_owned()
}

/// All elements that stand side by side; ends at the first broken one.
fn elements(mut data: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (element, rest) = next(data)?;
        data = rest;
        Some(element)
    })
}

/// The first element and what follows it.
fn next(data: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = data.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(d, _)| d.len() <= 4)?;
        (digits.iter().fold(0usize, |sum, digit| sum << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(((tag, content), rest))
}
