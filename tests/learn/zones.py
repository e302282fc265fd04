#!/usr/bin/env python3
"""Writes shared/src/rules/zones.tsv from the machine's tz database (public domain): `name, country or -, standard
offset in minutes`. Countries are zone.tab's; other names (links, old spellings) have none.

    tests/learn/zones.py
"""
import datetime, os, zoneinfo

ROOT = "/usr/share/zoneinfo/"
country = {}
for line in open(ROOT + "zone.tab"):
    if not line.startswith("#"):
        code, _, name = line.split("\t")[:3]
        country[name.strip()] = code
rows = []
for name in sorted(zoneinfo.available_timezones()):
    if name.startswith(("posix/", "right/", "Etc/", "SystemV/")) or "/" not in name:
        continue
    zone = zoneinfo.ZoneInfo(name)
    offsets = [datetime.datetime(2026, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)]
    rows.append(f"{name}\t{country.get(name, '-')}\t{int(min(offsets).total_seconds() // 60)}\n")
path = os.path.join(os.path.dirname(__file__), "../../shared/src/rules/zones.tsv")
open(path, "w").writelines(rows)
print(len(rows), "zones")
