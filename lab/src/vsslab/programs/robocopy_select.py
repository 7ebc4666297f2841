# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files robocopy copies: the class of each, and the switches that choose by class, attribute, size and age.

Source: "robocopy" in the Windows Commands documentation (file selection options).
"""

from __future__ import annotations

import datetime

from ..windows.clock import Clock
from ..windows.files import ARCHIVE, FileStat
from .robocopy_options import Options

_FAT = datetime.timedelta(seconds=2)
_HOUR = datetime.timedelta(hours=1)
_MOST_DAYS = 1900  # below it an age is a number of days, else a date
_SETTABLE = 0x1 | 0x2 | 0x4 | 0x20  # the attributes whose difference makes a file tweaked
COPIED = frozenset({"new", "newer", "older", "changed"})


def _differ(options: Options, ours: datetime.datetime, theirs: datetime.datetime) -> bool:
    gap = abs(ours - theirs)
    allowed = _FAT if options.coarse_times else datetime.timedelta(0)
    if gap <= allowed:
        return False
    return not (options.daylight_times and abs(gap - _HOUR) <= allowed)


def class_of(options: Options, info: FileStat, there: FileStat | None) -> str:
    """How a source file compares with what stands in its place: by length, time of writing, and attributes."""
    if there is None:
        return "new"
    if there.is_dir:
        return "mismatch"
    if _differ(options, info.modified, there.modified):
        return "newer" if info.modified > there.modified else "older"
    if info.length != there.length:
        return "changed"
    return "tweaked" if (info.attributes ^ there.attributes) & _SETTABLE & ~ARCHIVE else "same"


def skips(options: Options, kind: str) -> bool:
    """True when files of this class are left alone."""
    if kind in ("same", "tweaked"):
        return not (options.include_same if kind == "same" else options.include_tweaked)
    excluded = {
        "new": options.exclude_lonely,
        "newer": options.exclude_newer,
        "older": options.exclude_older,
        "changed": options.exclude_changed,
    }
    return excluded.get(kind, False)


def chosen(options: Options, info: FileStat, clock: Clock) -> bool:
    """True when the switches on attributes, size and age let the file through."""
    bits = info.attributes
    if options.only_archive and not bits & ARCHIVE:
        return False
    if options.only_attributes and not bits & options.only_attributes:
        return False
    if bits & options.exclude_attributes:
        return False
    if options.largest is not None and info.length > options.largest:
        return False
    if options.smallest is not None and info.length < options.smallest:
        return False
    ages = (
        (options.oldest, info.modified, True),
        (options.youngest, info.modified, False),
        (options.oldest_access, info.accessed, True),
        (options.youngest_access, info.accessed, False),
    )
    return all(limit is None or (moment < since(limit, clock)) != oldest for limit, moment, oldest in ages)


def since(age: int, clock: Clock) -> datetime.datetime:
    """The moment an age means: that many days ago, or the start of the date YYYYMMDD on the host."""
    if age < _MOST_DAYS:
        return clock.now() - datetime.timedelta(days=age)
    day = datetime.datetime.strptime(f"{age:08}", "%Y%m%d")
    return day.replace(tzinfo=clock.zone)


def wait_for_hours(options: Options, clock: Clock) -> float:
    """Seconds until copies may start (/RH); 0 when they may now."""
    if options.hours is None:
        return 0.0
    begin, end = options.hours
    now = clock.local(clock.now())
    minute = now.hour * 60 + now.minute
    inside = begin <= minute < end if begin <= end else minute >= begin or minute < end
    return 0.0 if inside else ((begin - minute) % (24 * 60)) * 60.0 - now.second
