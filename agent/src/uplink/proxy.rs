//! Which proxy stands between the agent and the collector: the configured one, else the environment's.
//!
//! Decided here and not by the HTTP library, because isolation has to keep exactly this way open.

use reqwest::Url;

/// The proxy for a collector's address. `env` looks up the environment.
pub fn for_collector(
    configured: Option<&str>,
    collector: &Url,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Option<Url>, String> {
    let either =
        |upper: &str, lower: &str| env(lower).or_else(|| env(upper)).filter(|v| !v.trim().is_empty());
    let (text, from) = if let Some(text) = configured {
        (text.to_owned(), "the setting `proxy`")
    } else if excluded(collector, &either("NO_PROXY", "no_proxy").unwrap_or_default()) {
        return Ok(None);
    } else if let Some(text) = either("HTTPS_PROXY", "https_proxy") {
        (text, "HTTPS_PROXY in the environment")
    } else if let Some(text) = either("ALL_PROXY", "all_proxy") {
        (text, "ALL_PROXY in the environment")
    } else {
        return Ok(None);
    };
    let with_scheme = if text.contains("://") { text.clone() } else { format!("http://{text}") };
    let url = Url::parse(&with_scheme).map_err(|e| format!("{from} is {text:?}: {e}"))?;
    if url.scheme() != "http" || url.host().is_none() {
        return Err(format!("{from} is {text:?}; only HTTP proxies work: http://host:port"));
    }
    Ok(Some(url))
}

/// `NO_PROXY` names the host: itself, a domain above it, `*`, or its address.
fn excluded(url: &Url, no_proxy: &str) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_ascii_lowercase();
    no_proxy.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
        entry == "*" || entry == host || host.ends_with(&format!(".{entry}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(configured: Option<&str>, env: &[(&str, &str)]) -> Option<String> {
        let collector = Url::parse("https://farmwatch.corp.example:8443").unwrap();
        let lookup = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        for_collector(configured, &collector, lookup).unwrap().map(String::from)
    }

    #[test]
    fn the_setting_wins_over_the_environment() {
        let env = [("HTTPS_PROXY", "http://env:1"), ("NO_PROXY", "*")];
        assert_eq!(proxy(Some("http://set:2"), &env).as_deref(), Some("http://set:2/"));
    }

    #[test]
    fn the_environments_proxy_needs_no_scheme_and_honours_exceptions() {
        assert_eq!(proxy(None, &[("https_proxy", "px:3128")]).as_deref(), Some("http://px:3128/"));
        assert_eq!(proxy(None, &[("https_proxy", "px:3128"), ("no_proxy", ".corp.example")]), None);
        assert_eq!(proxy(None, &[("HTTP_PROXY", "http://plain-http-only:1")]), None);
    }
}
