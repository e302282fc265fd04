//! Which DHCP server gave an interface its address: from the lease files of systemd-networkd, NetworkManager
//! and ISC dhclient.

use std::net::Ipv4Addr;
use std::path::Path;

use crate::sensors::Config;
use crate::sensors::read::{self, MANY};

/// dhclient appends; its file grows for months.
const LARGE: usize = 1 << 20;

/// The server's address, by the newest lease that names one. Leases outlive their network, so the caller must
/// make sure that this server is there now.
pub fn server(config: &Config, interface: &str, index: Option<u32>) -> Option<Ipv4Addr> {
    let networkd = index.and_then(|index| {
        let path = config.path("run/systemd/netif/leases").join(index.to_string());
        assignment(&read::text(&path, read::SMALL).ok()?)
    });
    networkd.or_else(|| network_manager(config, interface)).or_else(|| dhclient(config, interface))
}

/// `/var/lib/NetworkManager/{internal,dhclient}-<uuid>-<interface>.lease`, the newest.
fn network_manager(config: &Config, interface: &str) -> Option<Ipv4Addr> {
    let dir = config.path("var/lib/NetworkManager");
    let ending = format!("-{interface}.lease");
    let names = read::names(&dir, MANY).ok()?;
    let newest =
        names.iter().filter(|name| name.ends_with(&ending)).max_by_key(|name| modified(&dir.join(name)))?;
    let text = read::text(&dir.join(newest), LARGE).ok()?;
    assignment(&text).or_else(|| statement(&text, interface))
}

/// `/var/lib/dhcp/dhclient*.leases`, the newest that names this interface.
fn dhclient(config: &Config, interface: &str) -> Option<Ipv4Addr> {
    let mut leases = Vec::new();
    for dir in ["var/lib/dhcp", "var/lib/dhclient"].map(|dir| config.path(dir)) {
        for name in read::names(&dir, MANY).unwrap_or_default() {
            if name.starts_with("dhclient") && name.contains(".lease") {
                leases.push(dir.join(name));
            }
        }
    }
    leases.sort_by_key(|path| std::cmp::Reverse(modified(path)));
    leases.iter().find_map(|path| statement(&read::text(path, LARGE).ok()?, interface))
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// systemd's format: `SERVER_ADDRESS=192.168.1.1`.
fn assignment(text: &str) -> Option<Ipv4Addr> {
    text.lines().find_map(|line| line.strip_prefix("SERVER_ADDRESS=")?.trim().parse().ok())
}

/// dhclient's format: `lease { interface "eth0"; option dhcp-server-identifier 192.168.1.1; … }`; the last
/// counts.
fn statement(text: &str, interface: &str) -> Option<Ipv4Addr> {
    let named = format!("interface \"{interface}\"");
    let lease = text.rsplit("lease {").find(|lease| lease.contains(&named))?;
    let (_, rest) = lease.split_once("dhcp-server-identifier")?;
    rest.split(';').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sensors::test::{config, write};

    #[test]
    fn each_dhcp_client_names_its_server() {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path());
        assert_eq!(server(&config, "eth0", Some(2)), None);
        write(
            root.path(),
            &[(
                "var/lib/dhcp/dhclient.eth0.leases",
                "lease {\n  interface \"eth0\";\n  option dhcp-server-identifier 10.0.0.1;\n}\n\
                 lease {\n  interface \"eth0\";\n  fixed-address 10.0.0.9;\n  option dhcp-server-identifier 10.0.0.2;\n}\n\
                 lease {\n  interface \"eth1\";\n  option dhcp-server-identifier 10.0.0.3;\n}\n",
            )],
        );
        assert_eq!(server(&config, "eth0", Some(2)), Some(Ipv4Addr::new(10, 0, 0, 2)));
        let manager = "var/lib/NetworkManager/internal-5f1c7d2e-0000-4000-8000-000000000000-eth0.lease";
        write(
            root.path(),
            &[(
                manager,
                "# This is private data. Do not parse.\nADDRESS=10.0.0.9\nSERVER_ADDRESS=10.0.0.4\n",
            )],
        );
        assert_eq!(server(&config, "eth0", Some(2)), Some(Ipv4Addr::new(10, 0, 0, 4)));
        write(root.path(), &[("run/systemd/netif/leases/2", "ADDRESS=10.0.0.9\nSERVER_ADDRESS=10.0.0.5\n")]);
        assert_eq!(server(&config, "eth0", Some(2)), Some(Ipv4Addr::new(10, 0, 0, 5)));
        assert_eq!(server(&config, "eth0", Some(3)), Some(Ipv4Addr::new(10, 0, 0, 4)));
    }

    proptest! {
        #[test]
        fn leases_of_any_kind_never_panic_and_a_whole_one_is_found_behind_them(
            text in "(lease \\{|interface \"eth0\"|dhcp-server-identifier|SERVER_ADDRESS=|;|\\PC){0,20}", address: [u8; 4]
        ) {
            let _ = (assignment(&text), statement(&text, "eth0"));
            let server = Ipv4Addr::from(address);
            let lease = format!("lease {{\n  interface \"eth0\";\n  option dhcp-server-identifier {server};\n}}\n");
            prop_assert_eq!(statement(&format!("{text}\n{lease}"), "eth0"), Some(server));
        }
    }
}
