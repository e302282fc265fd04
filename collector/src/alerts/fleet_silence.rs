//! One policy alert for all agents that are silent, where many are: a holiday, an outage, an update that went wrong.

use farmwatch_shared::id::DeviceId;

use super::life::Draft;
use super::{fleet, policy};
use crate::store::Severity;

/// Its key.
pub const KEY: &str = "policy/silent";

/// The draft, for so many agents that were not heard for so many hours; `listed` are the first of them.
pub fn draft(silent: u64, hours: u32, listed: Vec<DeviceId>) -> Draft {
    let at_least = fleet::at_least(silent);
    let summary = format!(
        "Nothing was heard for {hours} hours, as long as policy allows, from the agents of {at_least} laptops or more. This is \
         one alert for all of them, whoever comes; the first are listed here, and all are found by when they were last \
         seen. A laptop that is suspected, by itself or with its place, has one of its own.\n\n\
         So many are silent when people are on holiday, when laptops lie in a store, when the network or this collector was \
         away, and when an update of the agent went wrong.\n\n\
         What would clear it: they report again, or those that are no longer used are revoked.\n\n\
         What to do now: if they fell silent together, look at the network between them and the collector and at what was \
         rolled out. Otherwise compare the list with MDM or the sign-in log: a laptop that is in use and silent is a reason \
         to call."
    );
    let title = format!("The agents of {at_least} laptops or more are silent");
    let pieces = fleet::pieces(KEY, silent, "are silent");
    policy::plain(listed, KEY.to_owned(), Severity::Medium, title, summary, pieces)
}
