//! Hosts of relays and portals.

use super::glob;

/// The literal labels at the end of a pattern, by which it is found: of `auth*.aeroadmin.com` it is
/// `aeroadmin.com`. `None` if fewer than two labels are literal: such a pattern would match whole registries.
pub(super) fn key(pattern: &str) -> Option<&str> {
    let literal = match pattern.rfind(['*', '?']) {
        Some(star) => pattern.get(star + 1..)?.split_once('.')?.1,
        None => pattern,
    };
    let labels = literal.split('.').filter(|label| !label.is_empty()).count();
    (labels >= 2 && !literal.starts_with('.')).then_some(literal)
}

/// A host without what surrounds it in lists: scheme, port, final dot, path.
pub(super) fn clean(host: &str) -> &str {
    let host = host.trim();
    let host = host.split_once("://").map_or(host, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or(host);
    host.trim_end_matches('.')
}

/// The host and each parent of it that has two labels or more.
pub(super) fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(host);
    std::iter::from_fn(move || {
        let this = rest?;
        rest = this.split_once('.').map(|(_, parent)| parent);
        this.contains('.').then_some(this)
    })
}

/// `*.x.org` is for all below `x.org` and for itself; a pattern without a star is for that host and all below.
///
/// A list's own `*.x.org` is a host too: judged as any host below.
pub(super) fn matches(pattern: &str, host: &str) -> bool {
    let bare = pattern.strip_prefix("*.").unwrap_or(pattern);
    if !glob::is_glob(bare) {
        let Some(before) = host.len().checked_sub(bare.len()) else { return false };
        let tail = host.as_bytes().get(before..).unwrap_or_default();
        let whole_label = before == 0 || host.as_bytes().get(before - 1) == Some(&b'.');
        return whole_label && tail.eq_ignore_ascii_case(bare.as_bytes());
    }
    glob::matches(pattern, host, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_stands_for_the_hosts_below_it_and_never_for_a_longer_label() {
        assert!(matches("*.anydesk.com", "relay-1.net.anydesk.com"));
        assert!(matches("*.anydesk.com", "AnyDesk.com"));
        assert!(!matches("*.anydesk.com", "notanydesk.com"));
        assert!(matches("auth*.aeroadmin.com", "auth12.aeroadmin.com"));
        assert!(!matches("auth*.aeroadmin.com", "www.aeroadmin.com"));
        assert!(!matches("remotedesktop.google.com", "google.com"));
    }

    #[test]
    fn a_pattern_for_a_whole_registry_is_none() {
        assert_eq!(key("*.com"), None);
        assert_eq!(key("*"), None);
        assert_eq!(key("auth*.aeroadmin.com"), Some("aeroadmin.com"));
        assert_eq!(key("rescue-list.*.logmein-gateway.com"), Some("logmein-gateway.com"));
    }
}
