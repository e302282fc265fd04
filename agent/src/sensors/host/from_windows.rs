//! What Windows' registry says of the system, in the words of the fact.

/// Values of `SOFTWARE\Microsoft\Windows NT\CurrentVersion`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CurrentVersion {
    /// `ProductName`: Windows 11 still says "Windows 10" here.
    pub(super) product: Option<String>,
    /// `DisplayVersion`: `24H2`.
    pub(super) display: Option<String>,
    /// `CurrentBuildNumber`.
    pub(super) build: Option<String>,
    /// `UBR`: what updates have added to the build.
    pub(super) revision: Option<u32>,
}

/// The first build of Windows 11.
const ELEVEN: u32 = 22_000;

/// As people say it, with the build: `Windows 11 Pro 24H2 (26100.2314)`.
pub(super) fn version(read: &CurrentVersion) -> String {
    let build: Option<u32> = read.build.as_deref().and_then(|build| build.parse().ok());
    let product = read.product.as_deref().unwrap_or("Windows");
    let product = product.strip_prefix("Microsoft ").unwrap_or(product);
    let mut text = match build {
        Some(ELEVEN..) => product.replacen("Windows 10", "Windows 11", 1),
        _ => product.to_owned(),
    };
    if let Some(display) = &read.display {
        text = format!("{text} {display}");
    }
    match (build, read.revision) {
        (Some(build), Some(revision)) => format!("{text} ({build}.{revision})"),
        (Some(build), None) => format!("{text} ({build})"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn windows_eleven_is_called_so_although_the_registry_says_ten() {
        let read = CurrentVersion {
            product: Some("Windows 10 Pro".into()),
            display: Some("24H2".into()),
            build: Some("26100".into()),
            revision: Some(2314),
        };
        assert_eq!(version(&read), "Windows 11 Pro 24H2 (26100.2314)");
        let ten = CurrentVersion { build: Some("19045".into()), display: Some("22H2".into()), ..read };
        assert_eq!(version(&ten), "Windows 10 Pro 22H2 (19045.2314)");
        assert_eq!(version(&CurrentVersion::default()), "Windows");
    }

    proptest! {
        #[test]
        fn values_of_any_kind_are_said_within_their_own_length(
            product in prop::option::of("(Microsoft )?(Windows 10)?\\PC{0,40}"), display in prop::option::of("\\PC{0,20}"),
            build in prop::option::of("[0-9]{0,12}|\\PC{0,9}"), revision: Option<u32>,
        ) {
            let read = CurrentVersion { product, display, build, revision };
            let length = |text: &Option<String>| text.as_deref().map_or(0, str::len);
            let most = length(&read.product).max("Windows".len()) + length(&read.display) + 30;
            prop_assert!(version(&read).len() <= most, "{}", version(&read));
        }
    }
}
