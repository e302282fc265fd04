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

/// The level and what it is judged by.
#[derive(Debug)]
pub struct Level {
    weights: Weights,
    usage: Usage,
    transitions: VecDeque<Transition>,
    judged: Option<Digest>,
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
        let judged = state.digest();
        if self.judged != Some(judged) {
            self.judged = Some(judged);
            let evidence = Evidence {
                state,
                usage: &self.usage,
                transitions: self.transitions.make_contiguous(),
                context: &Context::default(),
                now,
            };
            self.stands = rules::findings(&evidence, &self.weights).iter().any(|finding| finding.llr > 0.0);
        }
        self.allowed = policy.level_2;
        self.is_2() != before
    }

    /// Level 2: a finding stands, and policy allows it.
    pub fn is_2(&self) -> bool {
        self.stands && self.allowed
    }
}
