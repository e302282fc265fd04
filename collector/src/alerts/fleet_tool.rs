//! One policy alert for all laptops about a tool that much of the fleet has and that IT has not spoken of: hundreds of alerts,
//! one for each laptop, would say the same.

use farmwatch_shared::facts::RemoteTool;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::rules::common::Share;
use farmwatch_shared::state::State;

use super::life::Draft;
use super::{fleet, policy, words};
use crate::store::Severity;

const KEY: &str = "policy/tool/";

/// Key of the alert about a tool, by its id in the catalogue.
pub fn key(tool: &str) -> String {
    format!("{KEY}{tool}")
}

/// The tool that an alert of the whole fleet is about, by its key.
pub fn of_key(key: &str) -> Option<&str> {
    key.strip_prefix(KEY)
}

/// Most accounts that are named.
const ACCOUNTS: usize = 5;

/// The draft, as seen from one of the laptops with that state; `listed` are the first of them,
/// `accounts` are hashes of the tool's accounts on these, with on how many.
pub fn draft(
    tool: &str,
    state: &State,
    share: Share,
    listed: Vec<DeviceId>,
    accounts: &[(String, usize)],
) -> Draft {
    let name = words::tool(state.get(tool).unwrap_or(&RemoteTool::default()));
    let (key, at_least) = (key(tool), fleet::at_least(share.with));
    let why = format!("{name} is on {at_least} laptops or more, and IT has not said whose it is");
    let each = accounts.iter().take(ACCOUNTS);
    let each = each
        .map(|(hash, count)| format!("- `sanctioned_accounts = [\"{hash}\"]`: on {count} of those listed"));
    let each = each.collect::<Vec<_>>().join("\n");
    let each = if each.is_empty() {
        String::new()
    } else {
        format!("\n\nIts accounts, as the policy file would have them:\n{each}")
    };
    let summary = format!(
        "{} This is one alert for all of them, whoever comes; the first are listed here. A laptop that is suspected, by \
         itself or with its place, has one of its own.\n\n\
         So common a tool says little of any one laptop: a farm that is operated with it would show by other things only.\n\n\
         What would clear it: IT sanctions its own account of the tool, or the tool, in the policy file; or it is \
         removed.\n\n\
         What to do now: ask IT whether it rolled {name} out. If so, sanction the account rather than the tool, so that \
         another one's shows; if not, find out how it came to so many laptops.{each}",
        words::sentence(&why)
    );
    let title = format!("{name} is on {at_least} laptops or more, and nobody has sanctioned it");
    let pieces = fleet::pieces(&key, share.with, "have it");
    policy::plain(listed, key, Severity::Medium, title, summary, pieces)
}
