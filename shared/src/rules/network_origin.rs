//! Where the laptop's traffic comes from.
//!
//! - **Physical cause**: a farm hides where its laptops stand behind a hoster or a residential proxy. Cause
//!   `network`.
//! - **Cap**: assumption.
//! - **Innocent twins**: the company's own egress and cloud desktops (sanctioned places say nothing here),
//!   people with a VPN of their own.
//! - **Defeated by** the facilitator's own line at home, which is the common case.

use super::{Evidence, finding};
use crate::finding::{Finding, Group};
use crate::weights::Weights;

/// Findings that this file makes.
pub const IDS: &[&str] = &["network.hosting"];

/// What the public address' network says.
pub fn rule(evidence: &Evidence<'_>, weights: &Weights) -> Vec<Finding> {
    let context = evidence.context;
    if !context.hosting_network || context.sanctioned_place {
        return Vec::new();
    }
    let why = "its public address belongs to a hosting provider or proxy, where no laptop stands";
    let found = finding(weights, "network.hosting", Group::NetworkOrigin, "network", why);
    vec![Finding { technique: Some("T1090".into()), ..found }]
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;

    #[test]
    fn a_hosters_address_is_found_and_the_companys_vpn_exit_is_not() {
        let mut case = Case::default();
        case.context.hosting_network = true;
        assert_eq!(rule(&case.evidence(), &Weights::shipped()).len(), 1);
        case.context.sanctioned_place = true;
        assert_eq!(rule(&case.evidence(), &Weights::shipped()), vec![]);
    }
}
