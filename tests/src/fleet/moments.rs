//! When an agent reports on a day: at what changed, at each hour of use, and now and then when idle.

use farmwatch_shared::facts::{TransitionKind, Window};

use super::agenda::{self, Stretch};
use super::laptop::{Laptop, Trait};
use super::situation::{Link, Situation};
use super::twins;
use super::windows::{Hands, Span};
use super::world::World;

/// Most reports of a day.
pub const MOST: usize = 30;
/// Hours between signs of life of a laptop that nobody is at; a real agent gives one every five minutes.
const IDLE: i64 = 6 * 3600;
/// Days without network of which an agent's reports come when it is back.
const BACKLOG: i32 = 12;

/// A report to come.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When it is made and, where there is a network, received.
    pub at: i64,
    /// When it is received.
    pub received: i64,
    /// Over which connection.
    pub via: Link,
    /// What is the case.
    pub now: Situation,
    /// Whose hands since the last one.
    pub spans: Vec<Span>,
    /// What changed since the last one, by true time.
    pub changes: Vec<(i64, TransitionKind)>,
    /// Last second in which the laptop was awake.
    pub awake: i64,
}

/// The moments of a day, in order; at most [`MOST`].
///
/// How many there are, and when, turns on the day alone. The first one's changes turn on what was told before, so they
/// are right until it is told.
pub fn of_day(world: &World, laptop: &Laptop, day: i32) -> Vec<Moment> {
    let stretches = agenda::day(world, laptop, day);
    let mut all = Vec::new();
    let mut writing = Writing {
        period: i64::from(world.parameters.fleet.report_minutes.max(5)) * 60,
        world,
        laptop: laptop.number,
        before: laptop.told.situation,
        link: laptop.told.link,
        awake: laptop.told.awake,
        first: true,
        spans: Vec::new(),
        changes: Vec::new(),
    };
    for stretch in &stretches {
        writing.stretch(stretch, &mut all);
    }
    if let Some(first) = all.first() {
        let mut backlog = backlog(world, laptop, day, first);
        backlog.append(&mut all);
        all = backlog;
    }
    merge(&mut all);
    all
}

struct Writing<'a> {
    world: &'a World,
    laptop: u32,
    period: i64,
    before: Option<Situation>,
    /// The last network that it was on, also before a time without.
    link: Option<Link>,
    awake: i64,
    first: bool,
    spans: Vec<Span>,
    changes: Vec<(i64, TransitionKind)>,
}

impl Writing<'_> {
    fn stretch(&mut self, stretch: &Stretch, all: &mut Vec<Moment>) {
        let now = stretch.now;
        if let Some(before) = &self.before {
            self.changes.extend(changes(before, self.awake, &now, stretch.from));
        }
        if let (Some(last), Some(link)) = (&self.link, &now.link)
            && self.world.gateway(last, self.laptop) != self.world.gateway(link, self.laptop)
        {
            self.changes.push((stretch.from, TransitionKind::NetworkChanged));
        }
        self.link = now.link.or(self.link);
        let news = self.first || self.before != Some(now) || stretch.from > self.awake;
        self.first = false;
        self.before = Some(now);
        let busy = stretch.hands != Hands::Nobody;
        // A change goes out within a second or two.
        let mut at = stretch.from + 2;
        let mut from = stretch.from;
        if news && at < stretch.until {
            self.send(at, &now, stretch.from, all);
        }
        let step = if busy { self.period } else { IDLE };
        while from < stretch.until {
            // A report's last window is over, as an agent's is: what is begun comes with the next.
            at = ((from + step).div_euclid(Window::SECONDS) * Window::SECONDS).min(stretch.until);
            self.spans.push(Span { from, until: at, hands: stretch.hands });
            if busy || at < stretch.until {
                self.send(at, &now, at, all);
            }
            from = at;
        }
        self.awake = stretch.until;
    }

    fn send(&mut self, at: i64, now: &Situation, awake: i64, all: &mut Vec<Moment>) {
        let Some(via) = now.link else { return };
        let spans = std::mem::take(&mut self.spans);
        let changes = std::mem::take(&mut self.changes);
        all.push(Moment { at, received: at, via, now: *now, spans, changes, awake });
    }
}

/// What happened between two situations: the one that ended at `until`, and the one from `from` on.
fn changes(before: &Situation, until: i64, now: &Situation, from: i64) -> Vec<(i64, TransitionKind)> {
    use TransitionKind as T;
    let mut all = Vec::new();
    let slept = from > until;
    let mut add = |holds: bool, at: i64, kind: T| {
        if holds {
            all.push((at, kind));
        }
    };
    let place = |situation: &Situation| situation.link.map(|link| link.place);
    let (left, came) = (before.link.is_some(), now.link.is_some());
    let moved = place(before) != place(now);
    add(slept && !before.lid_closed, until, T::LidClosed);
    add(slept, until, T::Suspended);
    add(before.mains && !now.mains, from, T::MainsLost);
    add(left && (moved || slept), if slept { until } else { from }, T::NetworkLost);
    add(before.booted != now.booted, from, T::Booted);
    add(slept, from, T::Resumed);
    add(slept && !now.lid_closed, from, T::LidOpened);
    add(!slept && !before.lid_closed && now.lid_closed, from, T::LidClosed);
    add(!slept && before.lid_closed && !now.lid_closed, from, T::LidOpened);
    add(!before.mains && now.mains, from, T::MainsRegained);
    add(came && (moved || slept), from, T::NetworkRegained);
    add(!before.locked && now.locked, from, T::Locked);
    add(before.locked && !now.locked, from, T::Unlocked);
    all
}

/// Reports of the days without network before `day`, which come with its first: one a day.
fn backlog(world: &World, laptop: &Laptop, day: i32, first: &Moment) -> Vec<Moment> {
    if !laptop.life.traits.has(Trait::Offline) || !twins::is_offline(world, laptop, day - 1) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for before in (day - BACKLOG..day).filter(|before| twins::is_offline(world, laptop, *before)) {
        let stretches = agenda::day(world, laptop, before);
        let Some(last) = stretches.last() else { continue };
        let spans = stretches.iter().map(|s| Span { from: s.from, until: s.until, hands: s.hands }).collect();
        let now = Situation { link: None, ..last.now };
        let (at, awake) = (last.until, last.until);
        all.push(Moment {
            at,
            received: first.received,
            via: first.via,
            now,
            spans,
            changes: Vec::new(),
            awake,
        });
    }
    all
}

/// Joins neighbours until the day has no more than it may.
fn merge(all: &mut Vec<Moment>) {
    while all.len() > MOST {
        let gaps = all.windows(2).map(|pair| pair[1].received - pair[0].received);
        let Some((closest, _)) = gaps.enumerate().min_by_key(|(_, gap)| *gap) else { return };
        let mut first = all.remove(closest);
        let next = &mut all[closest];
        first.spans.append(&mut next.spans);
        first.changes.append(&mut next.changes);
        (next.spans, next.changes) = (first.spans, first.changes);
    }
}
