#!/usr/bin/env python3
"""Learns the pointer model: writes shared/src/pointer/coefficients.rs and the scoreboard's pointer data.

    tests/learn/pointer.py DATA_FOLDER [--check]

DATA_FOLDER holds rdp_mouse_sessions.csv.gz (balabit Mouse-Dynamics-Challenge: 3 people over RDP),
local_mouse_people.csv.gz (2 people at their own desks) and local_mouse_intervals.csv (5 devices, Linux kernel).
Deterministic; needs Python's standard library and the zstd program; two minutes. With --check it compares instead of
writing.

- All times are rounded to the millisecond, the coarsest resolution among the recordings, so that the model does not
  learn the recorder. Local hands are also played through other devices and through paths (pointer_hands.py).
- A window is five minutes of use (gaps count five seconds at most), or, of people and paths, the ten seconds of each
  minute in which the agent listens: the model holds for both.
- Both classes weigh the same; within a class each kind does, within a kind each person or device, whatever its number
  of windows. So the logit is a log-likelihood ratio.
- Features are those of pointer::Timing in Rust: keep them alike (the scoreboard runs Rust's on the histograms).
- Judged always by a fit that has not seen the person or device (held_out.tsv has these fits).
- The cap is what the number of people and devices supports: ln(sensitivity / upper 95 % bound of the false-positive
  rate), for either direction. What is simulated adds none.
"""
import bisect, collections, math, os, random, subprocess, sys
import pointer_hands as hands

WINDOW_MS, GAP_MS, MOTION_MS, SLOW_MS, ENOUGH = 300_000, 5_000, 250, 40, 50
CLOCK_MS, BEATS = 5, 3
RIDGE = 1e-3
HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "../fixtures/scoreboard")


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


def listened(times):
    """What an agent hears that listens ten seconds a minute."""
    return [t for t in times if (t - times[0]) % 60_000 < 10_000] if times else []


def timing(times):
    """(histogram of intervals of movement, histogram of the steps between two that follow each other), or None."""
    whole = [math.floor(t + 0.5) for t in times]
    gaps = [b - a for a, b in zip(whole, whole[1:])]
    intervals = collections.Counter(gap for gap in gaps if 0 < gap <= MOTION_MS)
    steps = collections.Counter(
        abs(b - a) for a, b in zip(gaps, gaps[1:]) if 0 <= a <= MOTION_MS and 0 <= b <= MOTION_MS
    )
    return (intervals, steps) if sum(intervals.values()) >= ENOUGH and steps else None


def features(intervals, steps):
    """(share of slow intervals, steadiness, ln(1 + third quartile of the steps)) of what moves."""
    moving = sum(intervals.values())
    period = max(sorted(intervals), key=lambda i: intervals[i])
    is_clock = period <= SLOW_MS
    steady = sum(intervals[i] for i in (period - 1, period, period + 1)) / moving if is_clock else 0.0
    slow = sum(n for i, n in intervals.items() if i > SLOW_MS) / moving
    beats = range(BEATS + 1 if CLOCK_MS <= period <= SLOW_MS else 1)
    off = collections.Counter()
    for step, n in steps.items():
        off[min(abs(step - k * period) for k in beats)] += n
    before, quartile = 0, 3 * sum(off.values()) // 4
    for step in sorted(off):
        before += off[step]
        if before > quartile:
            return slow, steady, math.log(1 + (step if is_clock else max(step, period)))


def hear(folder):
    """[(remote?, kind, what of it, person or device, histograms)] of all windows."""
    rng, heard = random.Random(20161), []

    def add(remote, kind, what, unit, times):
        found = timing(times)
        if found:
            heard.append((remote, kind, what, unit, found))

    for session, events in sorted(hands.people(folder).items()):
        unit, own = session.split("-")[0], [t for t, _, _ in events]
        for window in windows(own):
            add(False, "desk", "-", unit, window)
        for name, how, counts, delay in hands.DEVICES:
            add(False, name, "-", unit, listened(hands.on_device(events, rng, how, counts, delay)))
        for kind, poll in hands.ENDS + (hands.SLOW_END,):
            for frames in hands.FRAMES:
                for jitter in hands.JITTERS:
                    for bursts in (False, True):
                        times = hands.through_path(own, rng, frames, jitter, bursts, poll)
                        add(True, kind, jitter, unit, listened(times))
        for frames in hands.GATHERED_FRAMES:
            for jitter in hands.GATHERED_JITTERS:
                times = hands.through_path(own, rng, frames, jitter, False, 0)
                add(True, "gathered", jitter, unit, listened(times))
    for device, events in sorted(hands.devices(folder).items()):
        for window in windows([t for t, _, _ in events]):
            add(False, "kernel", "-", device, window)
    for session, events in sorted(hands.over_rdp(folder).items()):
        for window in windows([t for t, _, _ in events]):
            add(True, "rdp", "-", session.split("/")[0], window)
    return heard


def fit(rows):
    """Logistic regression by Newton's steps; (intercept, slow, steady, restless)."""
    rows = [
        row for row in rows if row[1] != hands.SLOW_END[0] and (row[2] == "-" or row[1] == "gathered" or row[2] >= hands.LEARNT_JITTER)
    ]
    count = collections.Counter((remote, kind, unit) for remote, kind, _, unit, _ in rows)
    units = collections.Counter((remote, kind) for remote, kind, _ in count)
    kinds = collections.Counter(remote for remote, _ in units)
    data = []
    for remote, kind, _, unit, found in rows:
        share = len(rows) / 2 / kinds[remote] / units[remote, kind] / count[remote, kind, unit]
        data.append((share, 1.0 if remote else 0.0, (1.0, *features(*found))))
    weight = [0.0] * 4
    for _ in range(40):
        gradient = [RIDGE * len(rows) * w for w in weight]
        hessian = [[RIDGE * len(rows) * (i == j) for j in range(4)] for i in range(4)]
        for share, truth, x in data:
            p = 1 / (1 + math.exp(-score(weight, x)))
            for i in range(4):
                gradient[i] += share * (p - truth) * x[i]
                for j in range(4):
                    hessian[i][j] += share * p * (1 - p) * x[i] * x[j]
        weight = [w - step for w, step in zip(weight, solve(hessian, gradient))]
    return weight


def solve(matrix, right):
    """Gauss's elimination."""
    rows = [list(row) + [value] for row, value in zip(matrix, right)]
    for i in range(len(rows)):
        pivot = max(range(i, len(rows)), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(len(rows)):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i])]
    return [row[-1] / row[i] for i, row in enumerate(rows)]


def score(weight, x):
    return sum(w * value for w, value in zip(weight, x))


def auc(pos, neg):
    neg = sorted(neg)
    wins = sum((bisect.bisect_left(neg, p) + bisect.bisect_right(neg, p)) / 2 for p in pos)
    return wins / (len(pos) * len(neg))


def histogram(counts):
    return " ".join(f"{value}:{count}" for value, count in sorted(counts.items()))


def keep(path, text, check):
    if path.endswith(".zst"):
        text = subprocess.run(["zstd", "-q", "-19"], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
    else:
        text = text.encode()
    if check and open(path, "rb").read() != text:
        sys.exit(f"{os.path.basename(path)} is not what the data say")
    if not check:
        open(path, "wb").write(text)


def main():
    heard = hear(sys.argv[1])
    truth = {unit: remote for remote, kind, _, unit, _ in heard if kind in ("desk", "kernel", "rdp")}
    fits = {unit: fit([row for row in heard if row[3] != unit]) for unit in truth}
    judged = collections.defaultdict(list)
    for remote, kind, what, unit, found in heard:
        judged[remote, kind, what].append((score(fits[unit], (1.0, *features(*found))), unit))
    local = [s for (remote, _, _), scores in judged.items() if not remote for s, _ in scores]
    for (remote, kind, what), scores in judged.items():
        wrong = sum((s > 0) != remote for s, _ in scores)
        line = f"{'remote' if remote else 'local':6} {kind:10} {what:>3}: {len(scores):4} windows, wrong when never seen {wrong:3}"
        print(line + (f", AUC {auc([s for s, _ in scores], local):.4f}" if remote else ""))
    misjudged = []
    for unit, remote in truth.items():
        own = [s for (_, kind, _), scores in judged.items() if kind in ("desk", "kernel", "rdp") for s, u in scores if u == unit]
        if sum((s > 0) != remote for s in own) * 2 > len(own):
            misjudged.append(unit)
    if misjudged:
        sys.exit(f"misjudged: {misjudged}; the caps below assume none")
    count = collections.Counter(truth.values())
    upper = {remote: 1 - 0.05 ** (1 / n) for remote, n in count.items()}
    weight, check = fit(heard), "--check" in sys.argv
    keep(os.path.join(FIXTURES, "pointer_held_out.tsv"), "".join(
        "\t".join([unit, *(f"{w:.4f}" for w in fits[unit])]) + "\n" for unit in sorted(fits)), check)
    keep(os.path.join(FIXTURES, "pointer_windows.tsv.zst"), "".join(
        f"{'remote' if remote else 'local'}\t{kind}\t{what}\t{unit}\t{histogram(found[0])}\t{histogram(found[1])}\n"
        for remote, kind, what, unit, found in heard), check)
    keep(os.path.join(HERE, "../../shared/src/pointer/coefficients.rs"), f"""//! Written by tests/learn/pointer.py; do not edit.

use super::Coefficients;

/// Learnt on {count[True]} people over RDP and {count[False]} local people and devices, the local people also on other devices and
/// through simulated paths; each person or device weighs the same within its kind.
pub const LEARNT: Coefficients =
    Coefficients {{ intercept: {weight[0]:.4f}, slow: {weight[1]:.4f}, steady: {weight[2]:.4f}, restless: {weight[3]:.4f} }};
/// Most nats towards a remote path: 0 of {count[False]} local people and devices were misjudged, so at most {100 * upper[False]:.0f} % are.
pub const CAP_REMOTE: f64 = {-math.log(upper[False]):.2f};
/// Most nats towards local: 0 of {count[True]} remote people were misjudged, so at most {100 * upper[True]:.0f} % are.
pub const CAP_LOCAL: f64 = {-math.log(upper[True]):.2f};
""", check)


main()
