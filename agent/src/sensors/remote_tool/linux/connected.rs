//! Programs that are connected to a tool's relay.

use std::collections::BTreeMap;

use farmwatch_shared::catalogue::Os;

use super::super::relays::is_browser;
use super::super::stock::is_stock;
use super::super::tools::Hit;
use super::processes::Reader;
use super::sockets;

/// Tools whose relays are at the far end of a program's connection: `relays` are such connections by their inodes.
/// The system's own programs and browsers are connected to whomever somebody wants to see.
pub(super) fn to(relays: &BTreeMap<u64, Hit>, reader: &mut Reader) -> Vec<Hit> {
    let mut hits = Vec::new();
    if relays.is_empty() {
        return hits;
    }
    for pid in reader.all().unwrap_or_default() {
        let Some((program, process)) = reader.at(pid) else { continue };
        if is_stock(Os::Linux, &program) || is_browser(&program) {
            continue;
        }
        let inodes = match sockets::inodes(&process.join("fd")) {
            Ok(inodes) => inodes,
            Err(error) => {
                reader.missed(&error);
                continue;
            }
        };
        hits.extend(relays.iter().filter(|(inode, _)| inodes.contains(inode)).map(|(_, hit)| hit.clone()));
    }
    hits.dedup();
    hits
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::{Arc, Mutex};

    use farmwatch_shared::catalogue::Catalogue;

    use super::super::super::super::test::write;
    use super::super::renamed::Renamed;
    use super::*;

    #[test]
    fn an_unknown_program_that_is_connected_to_a_relay_is_its_tool_and_a_browser_is_not() {
        let root = tempfile::tempdir().unwrap();
        for (pid, program) in
            [("7", "/tmp/helper"), ("8", "/home/anna/firefox/firefox"), ("9", "/usr/bin/curl")]
        {
            write(root.path(), &[(&format!("proc/{pid}/fd/0"), "")]);
            let folder = root.path().join("proc").join(pid);
            symlink(program, folder.join("exe")).unwrap();
            symlink(format!("socket:[100{pid}]"), folder.join("fd/5")).unwrap();
        }
        let mut reader = Reader::new(root.path(), false, Arc::new(Mutex::new(Renamed::new())));
        let hit: Hit = Catalogue::shipped().by_domain("relay-1.net.anydesk.com").unwrap().into();
        let whose =
            |inode: u64, reader: &mut Reader| to(&BTreeMap::from([(inode, hit.clone())]), reader).len();
        assert_eq!(whose(1007, &mut reader), 1);
        assert_eq!((whose(1008, &mut reader), whose(1009, &mut reader)), (0, 0));
        assert_eq!(reader.hidden(), None);
        for n in 0..4096 {
            std::fs::File::create(root.path().join(format!("proc/7/fd/1{n:04}"))).unwrap();
        }
        assert_eq!(whose(1007, &mut reader), 0);
        assert!(reader.hidden().is_some(), "one that hides the connection among its files is told");
    }
}
