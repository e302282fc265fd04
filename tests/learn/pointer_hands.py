"""Recordings of hands, and the same hands on other devices and through paths: what tests/learn/pointer.py learns from.

Any statistic tells two recordings apart that were made differently. So each person's own recording is also played
through devices that they did not have (they stay local) and through paths (they become remote): what is learnt is the
path, not the recorder. All times are milliseconds.
"""
import collections, csv, gzip, math, os

# A device's reports come on its clock, then wait for the kernel: (name, report intervals, counts per pixel, delay).
DEVICES = (
    [("usb", (period,), counts, delay) for period in (8, 4, 1, 0.125) for counts, delay in ((1, 0.05), (2, 0.4))]
    + [("bluetooth", (period, loss), 1, 0.6) for period in (7.5, 11.25, 15) for loss in (0, 0.03, 0.08)]
    + [("ps2", (period,), 1, 0.5) for period in (10, 12.8, 13.3)]
    + [("touchpad", (period,), 4, 0.8) for period in (7, 8.3, 12)]
)
FRAMES = (30, 60, 120, 165)  # a browser's, a second
# Of the network's delay. Less than 5 ms is judged, not learnt: to hear it, radio mice would be taken for remote.
JITTERS = (1, 2, 5, 10, 15, 25, 40)
LEARNT_JITTER = 5
# Where the operator's events end: (kind, milliseconds between polls of a gadget, 0 where software injects them).
ENDS = (("kvm", 1), ("injected", 0))
# An RDP client gathers for 100 ms; on a good line nothing else shows.
GATHERED_FRAMES, GATHERED_JITTERS = (8, 10), (1, 5, 15)
# A gadget that is polled every 8 ms, and fed faster than that, gives its reports on its own clock: nothing is left of
# the path. It is judged, not learnt.
SLOW_END = ("kvm_8ms", 8)


def recorded(path, key, time, opener=gzip.open):
    """session -> [(t, x, y)] without what moved nothing (clicks, the wheel); x and y are None where unknown."""
    rows, last = collections.defaultdict(list), {}
    with opener(path, "rt") as file:
        for row in csv.DictReader(file):
            place = (row.get("x"), row.get("y"))
            if place != (None, None) and last.get(row[key]) == place:
                continue
            last[row[key]] = place
            x, y = (float(p) if p is not None else None for p in place)
            rows[row[key]].append((float(row[time]), x, y))
    return rows


def people(folder):
    return recorded(os.path.join(folder, "local_mouse_people.csv.gz"), "session", "t_ms")


def devices(folder):
    return recorded(os.path.join(folder, "local_mouse_intervals.csv"), "device", "t_ms", open)


def over_rdp(folder):
    return recorded(os.path.join(folder, "rdp_mouse_sessions.csv.gz"), "session", "t_server_ms")


def kernel(rng, delay):
    """How long a report waits before it gets its time; now and then the machine is busy."""
    return abs(rng.gauss(0, delay)) + (rng.expovariate(1 / 4) if rng.random() < 0.005 else 0)


def on_device(events, rng, how, counts, delay):
    """The same movement on another device: a report at each tick at which a count changed, unless radio lost it."""
    period, loss = how[0], how[1] if len(how) > 1 else 0
    phase, tick, last, out = rng.random() * period, 0, None, []
    for (t0, x0, y0), (t1, x1, y1) in zip(events, events[1:]):
        if not 0 < t1 - t0 <= 60:
            continue  # at rest in between
        tick = max(tick, math.ceil((t0 - phase) / period))
        while phase + tick * period < t1:
            now = phase + tick * period
            tick += 1
            part = (now - t0) / (t1 - t0)
            place = (round((x0 + part * (x1 - x0)) * counts), round((y0 + part * (y1 - y0)) * counts))
            if place != last and not (loss and rng.random() < loss):
                last = place
                out.append(now + kernel(rng, delay))
    return sorted(out)


def through_path(times, rng, frames, jitter, bursts, poll):
    """The same events gathered into a browser's frames, delayed by a network that keeps their order, and taken from a
    gadget one a poll. `bursts`: delays that hang together, as in a queue; else each has its own, exponential."""
    frame = 1000 / frames
    phase, poll_phase = rng.random() * frame, rng.random() * max(poll, 1)
    arrived = sent = -1e18
    queue, out = 0.0, []
    for number in sorted({math.ceil((t - phase) / frame) for t in times}):
        left = phase + number * frame + abs(rng.gauss(0, 0.5))
        if bursts:
            queue = 0.8 * queue + rng.gauss(0, 0.6 * jitter)
            delay = max(0.0, queue + 2 * jitter)
        else:
            delay = rng.expovariate(1 / jitter)
        arrived = max(arrived, left + delay)
        if poll:
            sent = max(poll_phase + math.ceil((arrived - poll_phase) / poll) * poll, sent + poll)
        out.append((sent if poll else arrived) + kernel(rng, 0.1))
    return out
