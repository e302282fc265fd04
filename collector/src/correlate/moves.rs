//! Whether it matters to where a laptop stands that it shows something else than before: what nobody else shows joins it to
//! nobody and parts it from nobody, as its own dock or a plug that was pulled.

use std::collections::BTreeSet;

use crate::store::{Anchor, AnchorKind, Result, SharedStore};

/// What a laptop shows otherwise than before.
#[derive(Debug, Default, PartialEq)]
pub struct Move {
    /// Who stands with it may be somebody else now.
    pub matters: bool,
    /// What it shows anew, or no more, and nobody else does, each with how many may show it once that is written: itself, or
    /// nobody. None where the move matters.
    pub alone_at: Vec<(Anchor, u64)>,
}

/// What a laptop shows otherwise than before.
pub async fn of(store: &SharedStore, was: &BTreeSet<Anchor>, shown: &BTreeSet<Anchor>) -> Result<Move> {
    // To come to a list that joins nobody is no move.
    let changed = was.symmetric_difference(shown).filter(|anchor| anchor.kind.joins());
    let changed: Vec<Anchor> = changed.cloned().collect();
    if changed.is_empty() {
        return Ok(Move::default());
    }
    let matters = Move { matters: true, alone_at: Vec::new() };
    if changed.iter().any(|anchor| tells_apart(anchor.kind)) {
        return Ok(matters);
    }
    let counts = store.counts_at(&changed).await?;
    let by_others = |(anchor, count): (&Anchor, &u64)| *count > u64::from(was.contains(anchor));
    if changed.iter().zip(&counts).any(by_others) {
        return Ok(matters);
    }
    let alone = changed.into_iter().map(|anchor| {
        let itself = u64::from(shown.contains(&anchor));
        (anchor, itself)
    });
    Ok(Move { matters: false, alone_at: alone.collect() })
}

/// Two laptops that show different ones stand in two places, as far as can be told.
fn tells_apart(kind: AnchorKind) -> bool {
    matches!(kind, AnchorKind::Gateway | AnchorKind::PublicAddress)
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::id::DeviceId;
    use jiff::Timestamp;

    use super::*;
    use crate::store::{AnchorSeen, Change, Device, sqlite};

    fn anchor(kind: AnchorKind, value: &str) -> Anchor {
        Anchor { kind, value: value.into() }
    }

    #[tokio::test]
    async fn what_nobody_else_shows_is_no_move_unless_it_tells_two_places_apart() {
        use AnchorKind::{Gateway, Outage, UsbSerial};
        let (store, at) = (sqlite::in_memory().unwrap(), Timestamp::UNIX_EPOCH);
        for (number, dock) in [(1, "ours"), (2, "hers")] {
            let id = DeviceId::new(1, number);
            store.add_device(Device::new(id.clone(), at)).await.unwrap();
            let dock = anchor(UsbSerial, dock);
            let seen = AnchorSeen { anchor: dock, first_seen: at, last_seen: at, current: true };
            store.apply(vec![Change::Anchors(id, vec![seen])]).await.unwrap();
        }
        let ours = BTreeSet::from([anchor(UsbSerial, "ours")]);
        let now = |more: Anchor| ours.iter().cloned().chain([more]).collect::<BTreeSet<_>>();
        let of = async |shown: &BTreeSet<Anchor>| super::of(&store, &ours, shown).await.unwrap();
        assert_eq!(of(&ours).await, Move::default());
        let plug = anchor(Outage, "a plug that was pulled");
        let alone_at = vec![(plug.clone(), 1)];
        assert_eq!(of(&now(plug)).await, Move { matters: false, alone_at });
        let alone_at = vec![(anchor(UsbSerial, "ours"), 0)];
        assert_eq!(of(&BTreeSet::new()).await, Move { matters: false, alone_at }, "its own dock is gone");
        let matters = Move { matters: true, alone_at: Vec::new() };
        assert_eq!(of(&now(anchor(UsbSerial, "hers"))).await, matters);
        assert_eq!(of(&now(anchor(Gateway, "a phone"))).await, matters);
        assert_eq!(of(&now(anchor(AnchorKind::FromAfar, "all"))).await, Move::default(), "a list");
    }
}
