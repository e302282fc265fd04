//! The data that the scoreboard runs on: `tests/fixtures/scoreboard`, sources and licences in its README.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Lines of a file in the folder; one that ends in `.zst` is unpacked.
pub fn lines(name: &str) -> anyhow::Result<Vec<String>> {
    let path = folder().join(name);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = if path.extension().is_some_and(|ending| ending == "zst") {
        zstd::decode_all(bytes.as_slice()).with_context(|| format!("{} is damaged", path.display()))?
    } else {
        bytes
    };
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))?;
    let kept = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(kept.map(str::to_owned).collect())
}

/// The folder with the data.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/scoreboard")
}

/// Whether an item is held out: rules after the first (see the folder's README) are made looking at the other half only. Decided by a hash of the item, so that
/// it neither changes with the order of lines nor can be chosen.
pub fn is_held_out(item: &str) -> bool {
    // FNV-1a, 64 bits; the lowest bit of its last steps is no better than the item's bytes, a high one is.
    let hash = item
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash >> 40 & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_half_of_the_monitors_are_held_out() {
        let all = lines("edid_monitors.tsv.zst").unwrap();
        let held_out = all.iter().filter(|line| is_held_out(line)).count();
        assert_eq!(all.len(), 7140);
        assert!((3400..3740).contains(&held_out), "{held_out}");
    }
}
