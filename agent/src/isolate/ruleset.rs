//! The rules, as text for `nft -f`: a table of its own with default drop in all three directions.
//!
//! A packet that this table accepts still has to pass the laptop's other tables; one that it drops is gone. So
//! it makes no other firewall weaker.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use farmwatch_shared::policy::allowed;
use serde::{Deserialize, Serialize};

/// What stays open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The collector's addresses, or those of the proxy before it.
    pub collector: Vec<SocketAddr>,
    /// They come from a name, so the configured resolvers stay open.
    pub needs_dns: bool,
    /// What policy allows: `203.0.113.7`, `2001:db8::/48`, `203.0.113.7:443`, `[2001:db8::7]:443`.
    pub allow: Vec<String>,
}

/// Name of the table, family `inet`.
pub const TABLE: &str = "farmwatch";

/// The whole ruleset: it replaces an older one of ours in one step.
pub fn ruleset(way: &Way, resolvers: &[IpAddr]) -> String {
    let mut doors: Vec<(String, &str, Option<u16>)> = Vec::new();
    for address in &way.collector {
        doors.push((address.ip().to_string(), "tcp", Some(address.port())));
    }
    for (network, port) in way.allow.iter().filter_map(|text| allowed(text)) {
        match port {
            Some(port) => doors.extend(["tcp", "udp"].map(|proto| (network.clone(), proto, Some(port)))),
            None => doors.push((network, "", None)),
        }
    }
    if way.needs_dns {
        for resolver in resolvers {
            doors.extend(["udp", "tcp"].map(|proto| (resolver.to_string(), proto, Some(53))));
        }
    }
    let (mut input, mut output) = (String::new(), String::new());
    for (network, proto, port) in &doors {
        let family = if network.contains(':') { "ip6" } else { "ip" };
        let (to, from) = match port {
            Some(port) => (format!(" {proto} dport {port}"), format!(" {proto} sport {port}")),
            None => Default::default(),
        };
        let _ = writeln!(output, "    {family} daddr {network}{to} accept");
        // What began before the rules is unknown to the kernel's table of connections: an order that the collector
        // sends on such a connection has to come in, so what opens no connection may.
        let old =
            if *proto == "tcp" { "tcp flags & (syn | ack) != syn" } else { "ct state established,related" };
        let _ = writeln!(input, "    {family} saddr {network}{from} {old} accept");
    }
    format!(
        "table inet {TABLE} {{}}
delete table inet {TABLE}
table inet {TABLE} {{
  chain input {{
    type filter hook input priority -310; policy drop;
    iif \"lo\" accept
    udp sport 67 udp dport 68 accept
    udp sport 547 udp dport 546 accept
    icmpv6 type {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, packet-too-big }} accept
    ct state related icmp type destination-unreachable accept
{input}  }}
  chain output {{
    type filter hook output priority -310; policy drop;
    oif \"lo\" accept
    udp sport 68 udp dport 67 accept
    udp sport 546 udp dport 547 accept
    icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} accept
{output}  }}
  chain forward {{
    type filter hook forward priority -310; policy drop;
  }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    fn way() -> Way {
        Way {
            collector: vec!["192.0.2.10:8443".parse().unwrap(), "[2001:db8::10]:8443".parse().unwrap()],
            needs_dns: true,
            allow: ["203.0.113.7", "2001:db8:1::/48", "203.0.113.8:443", "evil; flush ruleset"]
                .map(String::from)
                .to_vec(),
        }
    }

    #[test]
    fn only_the_collector_its_resolver_and_what_policy_allows_stay_open() {
        insta::assert_snapshot!(ruleset(&way(), &["192.0.2.53".parse().unwrap()]));
    }

    #[test]
    fn a_collector_by_address_needs_no_resolver() {
        let rules = ruleset(&Way { needs_dns: false, ..way() }, &["192.0.2.53".parse().unwrap()]);
        assert!(!rules.contains("53 "), "{rules}");
    }

    /// In a network namespace of its own, so the machine that runs the test stays online.
    #[test]
    fn the_kernel_takes_the_rules_twice_and_drops_by_default() {
        let script = "nft -f \"$0\" && nft -f \"$0\" && nft list table inet farmwatch";
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ruleset(&way(), &["192.0.2.53".parse().unwrap()])).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c", script]).arg(file.path());
        let listed = crate::process::run(&mut command, "", Duration::from_secs(20)).unwrap();
        assert_eq!(listed.matches("policy drop;").count(), 3, "{listed}");
        assert!(listed.contains("ip daddr 192.0.2.10 tcp dport 8443 accept"), "{listed}");
    }
}
