//! The level of what may be reported: the agent computes the collector's findings on its own facts, so it knows
//! when one stands.

use std::collections::VecDeque;

use farmwatch_shared::facts::{Transition, Window};
use farmwatch_shared::policy::AgentPolicy;
use farmwatch_shared::rules::{self, Context, Evidence};
use farmwatch_shared::state::{Digest, State};
use farmwatch_shared::usage::Usage;
use farmwatch_shared::weights::Weights;
use jiff::Timestamp;

/// Days of use that are kept for the judgement, as the collector looks back.
const DAYS: usize = 14;
const TRANSITIONS: usize = 512;
/// Nats that a finding must weigh before more is told: a name that others share, or a screen's override, weighs less.
const STANDS: f64 = 0.5;

/// The level and what it is judged by.
#[derive(Debug)]
pub struct Level {
    weights: Weights,
    usage: Usage,
    transitions: VecDeque<Transition>,
    judged: Option<Digest>,
    /// What IT sanctions, by which it was judged.
    context: Context,
    stands: bool,
    allowed: bool,
}

impl Level {
    /// Level 1.
    pub fn new() -> Self {
        Self {
            weights: Weights::shipped(),
            usage: Usage::default(),
            transitions: VecDeque::new(),
            judged: None,
            context: Context::default(),
            stands: false,
            allowed: false,
        }
    }

    /// Takes what happened.
    pub fn saw(&mut self, windows: &[Window], transitions: &[Transition]) {
        if !windows.is_empty() || !transitions.is_empty() {
            self.judged = None;
        }
        for window in windows {
            self.usage.add(window);
        }
        self.usage.keep_last(DAYS);
        self.transitions.extend(transitions.iter().cloned());
        self.transitions.drain(..self.transitions.len().saturating_sub(TRANSITIONS));
    }

    /// Judges anew where something changed; true if the level did.
    pub fn changed(&mut self, state: &State, policy: &AgentPolicy, now: Timestamp) -> bool {
        let before = self.is_2();
        let (judged, context) = (state.digest(), Context::sanctioned_by(policy));
        if self.context != context {
            (self.context, self.judged) = (context, None);
        }
        if self.judged != Some(judged) {
            self.judged = Some(judged);
            let evidence = Evidence {
                state,
                usage: &self.usage,
                transitions: self.transitions.make_contiguous(),
                context: &self.context,
                now,
            };
            self.stands =
                rules::findings(&evidence, &self.weights).iter().any(|finding| finding.llr > STANDS);
        }
        self.allowed = policy.level_2;
        self.is_2() != before
    }

    /// Level 2: a finding stands, and policy allows it.
    pub fn is_2(&self) -> bool {
        self.stands && self.allowed
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::{RemoteTool, Seen, SeenBy, ToolClass};

    use super::*;

    fn with(class: ToolClass, by: SeenBy) -> State {
        let mut state = State::default();
        let seen = vec![Seen { by, what: "x".into() }];
        state.put("screenconnect", &RemoteTool { class, seen, ..RemoteTool::default() });
        state
    }

    fn is_2(state: &State, policy: &AgentPolicy) -> bool {
        let mut level = Level::new();
        level.changed(state, policy, Timestamp::UNIX_EPOCH);
        level.is_2()
    }

    #[test]
    fn a_tool_tells_more_unless_it_sanctions_it() {
        let (state, mut policy) = (with(ToolClass::Rmm, SeenBy::Process), AgentPolicy::default());
        assert!(is_2(&state, &policy));
        policy.sanctioned_tools.push("screenconnect".into());
        assert!(!is_2(&state, &policy));
    }

    #[test]
    fn a_policy_that_sanctions_what_stands_ends_it_though_no_fact_changed() {
        let (state, mut policy, now) =
            (with(ToolClass::Rmm, SeenBy::Process), AgentPolicy::default(), Timestamp::UNIX_EPOCH);
        let mut level = Level::new();
        assert!(level.changed(&state, &policy, now) && level.is_2());
        policy.sanctioned_tools.push("screenconnect".into());
        assert!(level.changed(&state, &policy, now) && !level.is_2());
        policy.sanctioned_tools.clear();
        assert!(level.changed(&state, &policy, now) && level.is_2());
    }

    #[test]
    fn a_likeness_and_a_meeting_tell_no_more() {
        let policy = AgentPolicy::default();
        assert!(!is_2(&with(ToolClass::Rmm, SeenBy::Hint), &policy));
        assert!(!is_2(&with(ToolClass::Meeting, SeenBy::Process), &policy));
        assert!(is_2(&with(ToolClass::Rmm, SeenBy::Package), &policy), "a left-over stands");
    }
}
