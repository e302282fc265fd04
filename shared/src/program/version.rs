//! Windows' version information (`VS_VERSIONINFO`): a tree of blocks, each with its length, the length of its
//! value, its kind, a name in UTF-16, and, at a multiple of four bytes, its value and its children.

/// Deepest block that holds a string: information, `StringFileInfo`, language, string.
const DEEPEST: usize = 4;
/// Most blocks that are read.
const MOST_BLOCKS: usize = 400;

/// All strings: name and value.
pub(super) fn strings(data: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = MOST_BLOCKS;
    block(data, 1, &mut left, &mut found);
    found
}

/// Reads one block, and gives its length to the next one.
fn block(data: &[u8], depth: usize, left: &mut usize, found: &mut Vec<(String, String)>) -> Option<usize> {
    *left = left.checked_sub(1)?;
    let length = usize::from(word(data, 0)?);
    let block_data = data.get(..length.min(data.len()))?;
    if length < 6 {
        return None;
    }
    let value_words = usize::from(word(data, 2)?);
    let is_text = word(data, 4)? == 1;
    let (name, after) = wide(block_data, 6)?;
    let value_at = after.next_multiple_of(4);
    if depth == DEEPEST {
        let (value, _) = wide(block_data, value_at).unwrap_or_default();
        found.push((name, super::clean(&value)));
        return Some(length);
    }
    let value_bytes = if is_text { value_words * 2 } else { value_words };
    let mut at = (value_at + value_bytes).next_multiple_of(4);
    while let Some(child) = block_data.get(at..).filter(|child| child.len() >= 6) {
        let Some(length) = block(child, depth + 1, left, found) else { break };
        at = (at + length).next_multiple_of(4);
    }
    Some(length)
}

/// Text in UTF-16 up to its zero or the end, and where that is.
fn wide(data: &[u8], from: usize) -> Option<(String, usize)> {
    let units = data.get(from..)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let text: Vec<u16> = units.take_while(|unit| *unit != 0).take(512).collect();
    Some((String::from_utf16_lossy(&text), from + text.len() * 2 + 2))
}

fn word(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?))
}
