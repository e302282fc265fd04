//! launchd's items: the daemon, and the helper in each session with windows. The files that packages bring are the
//! templates, so both ways of installing say the same.

use std::path::Path;

/// An item of launchd's.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Its label.
    pub label: &'static str,
    /// The folder of its file.
    pub folder: &'static str,
    template: &'static str,
}

/// Runs as root from boot on.
pub const DAEMON: Item = Item {
    label: "com.farmwatch.agent",
    folder: "/Library/LaunchDaemons",
    template: include_str!("../../../packaging/agent/macos/com.farmwatch.agent.plist"),
};

/// Runs in each session with windows, as whoever is logged in.
pub const HELPER: Item = Item {
    label: "com.farmwatch.session-helper",
    folder: "/Library/LaunchAgents",
    template: include_str!("../../../packaging/agent/macos/com.farmwatch.session-helper.plist"),
};

/// Where a package puts the program.
const PROGRAM: &str = "<string>/usr/local/bin/farmwatch-agent</string>";

impl Item {
    /// Its file.
    pub fn file(&self) -> String {
        format!("{}/{}.plist", self.folder, self.label)
    }

    /// Its file's text for a program that lies elsewhere, with more arguments.
    pub fn text(&self, program: &Path, arguments: &[String]) -> String {
        let mut more = String::new();
        for argument in arguments {
            more.extend(["\t\t<string>", &escape(argument), "</string>\n"]);
        }
        let program = format!("<string>{}</string>", escape(&program.to_string_lossy()));
        self.template.replacen("\t</array>", &format!("{more}\t</array>"), 1).replacen(PROGRAM, &program, 1)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::plist::{Plist, parse, text, yes};

    fn read(item: &Item, program: &str, arguments: &[String]) -> Plist {
        parse(item.text(Path::new(program), arguments).as_bytes()).unwrap()
    }

    fn words(item: &Plist) -> Vec<String> {
        let word = |word: &Plist| if let Plist::Text(text) = word { Some(text.clone()) } else { None };
        item.dict().unwrap()["ProgramArguments"].array().iter().filter_map(word).collect()
    }

    #[test]
    fn a_package_and_the_command_install_the_same() {
        for item in [DAEMON, HELPER] {
            assert_eq!(item.text(Path::new("/usr/local/bin/farmwatch-agent"), &[]), item.template);
            assert_eq!(text(read(&item, "/x", &[]).dict().unwrap(), "Label").unwrap(), item.label);
        }
    }

    #[test]
    fn a_program_elsewhere_is_started_from_there_with_its_configuration() {
        let more = ["--config".to_owned(), "/tmp/a <b>.toml".to_owned()];
        let daemon = read(&DAEMON, "/Applications/R & D/farmwatch-agent", &more);
        let expected = ["/Applications/R & D/farmwatch-agent", "run", "--config", "/tmp/a <b>.toml"];
        assert_eq!(words(&daemon), expected);
        assert_eq!(yes(daemon.dict().unwrap(), "KeepAlive"), Some(true));
    }

    #[test]
    fn each_lies_where_launchd_looks() {
        assert_eq!(DAEMON.file(), "/Library/LaunchDaemons/com.farmwatch.agent.plist");
        assert_eq!(HELPER.file(), "/Library/LaunchAgents/com.farmwatch.session-helper.plist");
    }

    #[test]
    fn the_helper_runs_where_there_are_windows_only() {
        let helper = read(&HELPER, "/opt/farmwatch-agent", &[]);
        assert_eq!(words(&helper), ["/opt/farmwatch-agent", "session-helper"]);
        assert_eq!(text(helper.dict().unwrap(), "LimitLoadToSessionType").as_deref(), Some("Aqua"));
    }
}
