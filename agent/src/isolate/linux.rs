//! nftables, by its own program: an isolation is rare, and `nft -f` is atomic.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::ruleset::TABLE;
use crate::process;

const TIMEOUT: Duration = Duration::from_secs(15);

/// Puts a ruleset into force in one step, and looks whether it is.
pub fn apply(ruleset: &str) -> Result<(), String> {
    process::run(nft().args(["-f", "-"]), ruleset, TIMEOUT)?;
    if is_in_force() { Ok(()) } else { Err("nft took the rules, but they are not in force".into()) }
}

/// Takes the table away; that there is none is fine.
pub fn remove() -> Result<(), String> {
    let script = format!("table inet {TABLE} {{}}\ndelete table inet {TABLE}\n");
    process::run(nft().args(["-f", "-"]), &script, TIMEOUT).map(drop)
}

/// The table is there, and its three chains drop by default.
pub fn is_in_force() -> bool {
    let listed = process::run(nft().args(["list", "table", "inet", TABLE]), "", TIMEOUT);
    listed.is_ok_and(|text| text.matches("policy drop;").count() == 3)
}

/// The resolvers that this machine asks. A resolver on the machine itself asks others: those stand in its own
/// file.
pub fn resolvers(root: &Path) -> Vec<IpAddr> {
    let files =
        ["etc/resolv.conf", "run/systemd/resolve/resolv.conf", "run/NetworkManager/no-stub-resolv.conf"];
    let mut found: Vec<IpAddr> = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        for address in text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")) {
            let address = address.trim().split('%').next().and_then(|a| a.parse::<IpAddr>().ok());
            found.extend(address.filter(|a| !a.is_loopback() && !found.contains(a)));
        }
    }
    found.truncate(6);
    found
}

fn nft() -> Command {
    // Services have a short PATH, and people's shells one without sbin.
    let places = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"];
    Command::new(places.iter().find(|path| Path::new(path).exists()).unwrap_or(&"nft"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_resolvers_own_servers_are_found() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        std::fs::create_dir_all(root.path().join("run/systemd/resolve")).unwrap();
        std::fs::write(root.path().join("etc/resolv.conf"), "nameserver 127.0.0.53\noptions edns0\n")
            .unwrap();
        std::fs::write(
            root.path().join("run/systemd/resolve/resolv.conf"),
            "nameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver 192.0.2.53\n",
        )
        .unwrap();
        let expected: [IpAddr; 2] = ["192.0.2.53".parse().unwrap(), "fe80::1".parse().unwrap()];
        assert_eq!(resolvers(root.path()), expected);
    }
}
