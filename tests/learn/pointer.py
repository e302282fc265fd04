#!/usr/bin/env python3
"""Learns the pointer model's coefficients and writes shared/src/pointer/coefficients.rs.

    tests/learn/pointer.py DATA_FOLDER [--check]

DATA_FOLDER holds rdp_mouse_sessions.csv.gz (balabit Mouse-Dynamics-Challenge: 3 people over RDP),
local_mouse_people.csv.gz (2 people at their own desks) and local_mouse_intervals.csv (5 devices, Linux kernel).
Deterministic, needs only Python's standard library. With --check it compares instead of writing.

What it does, and why so little:
- All times are rounded to the millisecond, the coarsest resolution among the recordings, so that the model
  does not learn the recorder. Features are chosen so that a resolution of 16 ms leaves them standing.
- Windows are five minutes of use (gaps count five seconds at most). Each person or device is one unit and
  weighs the same, whatever its number of windows; both classes weigh the same, so the logit is a log-likelihood
  ratio.
- The features are those of pointer::features in Rust: keep them alike (a test there holds the numbers).
- The cap is what the number of units supports: ln(sensitivity / upper 95 % bound of the false-positive rate),
  for either direction.
"""
import collections, csv, gzip, math, os, sys

WINDOW_MS, GAP_MS, MOTION_MS, SLOW_MS, ENOUGH = 300_000, 5_000, 250, 40, 50
RIDGE = 0.02


def sessions(path, key, time, opener):
    rows = collections.defaultdict(list)
    with opener(path, "rt") as file:
        last = {}
        for row in csv.DictReader(file):
            place = (row.get("x"), row.get("y"))
            if place != (None, None) and last.get(row[key]) == place:
                continue  # a click or a wheel, not a move
            last[row[key]] = place
            rows[row[key]].append(math.floor(float(row[time]) + 0.5))
    return rows


def windows(times):
    """Cuts a session into windows of five minutes of use."""
    window, use = [times[0]], 0
    for before, now in zip(times, times[1:]):
        use += min(max(now - before, 0), GAP_MS)
        if use >= WINDOW_MS:
            yield window
            window, use = [], 0
        window.append(now)
    yield window


def features(times):
    """(share of slow intervals, steadiness) of what moves, or None."""
    moving = [b - a for a, b in zip(times, times[1:]) if 0 < b - a <= MOTION_MS]
    if len(moving) < ENOUGH:
        return None
    counts = collections.Counter(moving)
    period = max(sorted(counts), key=lambda i: counts[i])
    steady = sum(counts[i] for i in (period - 1, period, period + 1)) / len(moving)
    slow = sum(1 for i in moving if i > SLOW_MS) / len(moving)
    return slow, steady


def units(folder):
    """unit name -> (remote?, its windows' features)"""
    out = collections.defaultdict(list)
    for name, key, time, opener, remote in (
        ("rdp_mouse_sessions.csv.gz", "session", "t_server_ms", gzip.open, True),
        ("local_mouse_people.csv.gz", "session", "t_ms", gzip.open, False),
        ("local_mouse_intervals.csv", "device", "t_ms", open, False),
    ):
        for session, times in sessions(os.path.join(folder, name), key, time, opener).items():
            unit = session.split("/")[0] if remote else session.split("-")[0]
            for window in windows(times):
                found = features(window)
                if found:
                    out[(remote, unit)].append(found)
    return out


def fit(data):
    """Logistic regression with a ridge, by gradient descent; (intercept, slow, steady)."""
    weight = [0.0, 0.0, 0.0]
    classes = collections.Counter(remote for remote, _ in data)
    for _ in range(4000):
        grad = [0.0, RIDGE * weight[1], RIDGE * weight[2]]
        for (remote, _), rows in data.items():
            share = 0.5 / classes[remote] / len(rows)
            for slow, steady in rows:
                z = weight[0] + weight[1] * slow + weight[2] * steady
                error = share * (1 / (1 + math.exp(-z)) - (1.0 if remote else 0.0))
                for i, x in enumerate((1.0, slow, steady)):
                    grad[i] += error * x
        weight = [w - 2.0 * g for w, g in zip(weight, grad)]
    return weight


def score(weight, row):
    return weight[0] + weight[1] * row[0] + weight[2] * row[1]


def auc(pos, neg):
    wins = sum((p > n) + 0.5 * (p == n) for p in pos for n in neg)
    return wins / (len(pos) * len(neg))


def main():
    folder = sys.argv[1]
    data = units(folder)
    remote = [u for u in data if u[0]]
    local = [u for u in data if not u[0]]
    print(f"{len(remote)} remote people, {len(local)} local people and devices")
    pos, neg, wrong = [], [], []
    for unit, rows in sorted(data.items()):
        held_out = {u: r for u, r in data.items() if u != unit}
        scores = [score(fit(held_out), row) for row in rows]
        (pos if unit[0] else neg).extend(scores)
        errors = sum((s > 0) != unit[0] for s in scores)
        if errors * 2 > len(scores):
            wrong.append(unit)
        print(f"  {'remote' if unit[0] else 'local':6} {unit[1]:28} {len(rows):3} windows, wrong when never seen: "
              f"{errors}, logit {min(scores):.2f} to {max(scores):.2f}")
    upper = lambda n: 1 - 0.05 ** (1 / n)
    misses = [u for u in wrong if u[0]], [u for u in wrong if not u[0]]
    if misses[0] or misses[1]:
        sys.exit(f"units judged wrong: {wrong}; the caps below assume none")
    cap_remote, cap_local = -math.log(upper(len(local))), -math.log(upper(len(remote)))
    print(f"AUC over windows of people and devices never seen in learning: {auc(pos, neg):.4f}")
    print(f"caps: remote {cap_remote:.2f} nats (0 of {len(local)}), local {cap_local:.2f} nats (0 of {len(remote)})")
    w = fit(data)
    text = f"""//! Written by tests/learn/pointer.py; do not edit.
//!
//! Learnt on {len(remote)} people over RDP against {len(local)} local people and devices, each weighing the same. Judged on
//! windows of those never seen in learning: AUC {auc(pos, neg):.3f}. That is RDP; other ways are not in the data.

/// Logit = `INTERCEPT + SLOW · slow + STEADY · steady`.
pub const INTERCEPT: f64 = {w[0]:.3f};
/// See [`INTERCEPT`].
pub const SLOW: f64 = {w[1]:.3f};
/// See [`INTERCEPT`].
pub const STEADY: f64 = {w[2]:.3f};
/// Most nats towards a remote path: 0 of {len(local)} local people and devices were misjudged, so at most {100 * upper(len(local)):.0f} % are.
pub const CAP_REMOTE: f64 = {cap_remote:.2f};
/// Most nats towards local: 0 of {len(remote)} remote people were misjudged, so at most {100 * upper(len(remote)):.0f} % are.
pub const CAP_LOCAL: f64 = {cap_local:.2f};
"""
    path = os.path.join(os.path.dirname(__file__), "../../shared/src/pointer/coefficients.rs")
    if "--check" in sys.argv:
        sys.exit(0 if open(path).read() == text else "coefficients.rs is not what the data say")
    open(path, "w").write(text)


main()
