//! Which names say something.

/// Words that many programs have in their names.
const GENERAL: &str = "\
    access active admin agent amd app application apps arm assistant auto backup bin bit bootstrap \
    bundle cache center chat check cli client cloud cmd com config connect connection connector \
    console control core customer daemon dashboard data default deploy desktop detector diag \
    diagnostics discovery download driver endpoint engine exe executor expert explorer file files \
    free get guest handler help helper home host http info init insight inst install installer \
    installshield launch launcher level lite local log logger mail main management manager manual \
    meeting migration mini module modules monitor monitoring my net network notification notify now \
    observer online open operator package patch pc player plugin portable power privacy pro process \
    project proxy pull push quick quickassist range rd rdp receiver recorder reg relay remote \
    reporter rmm run runner safe scan scanner screen script secure self send server service services \
    session setup share shell shim softmon srv standalone start starter status stop student studio \
    support svc sync sys sysinfo system systeminfo task teacher team temp test ticket tool tools \
    tray trm ui unattended uninstall uninstaller update updater upgrade upload user util utility \
    version view viewer vnc web win windows worker x zip";

/// Folders of companies that make more than one thing: one part more of the path is kept.
pub(super) const VENDORS: &[&str] = &[
    "adobe",
    "apple",
    "cisco",
    "citrix",
    "common files",
    "dell",
    "faronics",
    "freshdesk",
    "freshworks",
    "google",
    "hp",
    "ibm",
    "intel",
    "jumpcloud",
    "lenovo",
    "microsoft",
    "microsoft office",
    "mozilla",
    "nch software",
    "oracle",
    "packages",
    "parallels",
    "quest",
    "samsung",
    "solarwinds",
    "sophos",
    "sysprogs",
    "temp",
    "vmware",
    "windows apps",
    "windowsapps",
    "zoho",
];

/// A name of a program or folder that says which program it is.
pub(super) fn telling(name: &str) -> bool {
    let stem = strip_extension(name);
    let letters = stem.chars().filter(|c| c.is_alphabetic()).count();
    letters >= 4 && split(stem).iter().any(|word| !general(word))
}

/// The name without `.exe` and the like.
fn strip_extension(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if (2..=4).contains(&extension.len()) && !stem.is_empty() => stem,
        _ => name,
    }
}

/// Words of letters: `RemotePCHost_x64` is remote, pchost, x. All lower case stays one word.
fn split(stem: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in stem.chars() {
        let starts = !c.is_alphabetic() || (c.is_uppercase() && before.is_lowercase());
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A general word, or two or three of them run together: `selfupdater`, `appcore`.
fn general(word: &str) -> bool {
    fn made_of(word: &str, most: u8) -> bool {
        word.is_empty()
            || (most > 0
                && GENERAL
                    .split_ascii_whitespace()
                    .any(|part| word.strip_prefix(part).is_some_and(|rest| made_of(rest, most - 1))))
    }
    word.len() <= 2 || made_of(word, 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_words_say_nothing_alone_or_together() {
        for name in
            ["agent.exe", "Connect.exe", "selfupdater.exe", "Remote Desktop.exe", "rd.exe", "x64_setup.exe"]
        {
            assert!(!telling(name), "{name}");
        }
        for name in ["AteraAgent.exe", "rutserv.exe", "romviewer.exe", "dwagsvc.exe"] {
            assert!(telling(name), "{name}");
        }
    }
}
