# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that speak to a laboratory that runs."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vsslab import faultwords
from vsslab.cli import cards, manual
from vsslab.control import ControlError, ask
from vsslab.running import is_running

_PATIENCE = 30.0  # seconds that `down` waits
_LONG = 3600.0  # seconds that saving a state or advancing the time may take
_FOLLOW = 0.2  # seconds between two looks at the trace
_Options = argparse.Namespace


def _ask(options: _Options, what: str, patience: float = _PATIENCE, **fields: Any) -> Any:
    options.state = options.state or cards.only_state()
    return ask(options.state, {"do": what, **fields}, patience)


def _json(value: Any, indent: int | None = None) -> str:
    """With letters as they are where the terminal knows them all."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    return json.dumps(value, indent=indent, ensure_ascii=encoding != "utf8")


def _colored() -> bool:
    """Whether to use colors: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _print(value: Any) -> int:
    print(_json(value))
    return 0


def down(options: _Options) -> int:
    """Stop a laboratory, and wait."""
    _ask(options, "stop")
    end = time.monotonic() + _PATIENCE
    while is_running(options.state):
        if time.monotonic() > end:
            raise ControlError("The laboratory was told to stop, but still runs.")
        time.sleep(0.05)
    return 0


def ps(_options: _Options) -> int:
    """List what runs."""
    for card in cards.running():
        shown = ("pid", "scenario", "state", "inventory", "page", "addresses")
        print(json.dumps({key: card[key] for key in shown if key in card}))
    return 0


def read(options: _Options) -> int:
    """Print something of the laboratory as JSON."""
    print(_json(_ask(options, options.what), indent=2))
    return 0


def inventory(options: _Options) -> int:
    """Print the inventory."""
    print(yaml.safe_dump(_ask(options, "inventory", user=options.user), sort_keys=False, allow_unicode=True), end="")
    return 0


# --- faults


def definitions(text: str) -> list[dict[str, Any]]:
    """The faults of a YAML or JSON text, one or a list of them; ControlError."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ControlError("The definition is neither YAML nor JSON.") from None
    if isinstance(found, Mapping) and set(found) == {"faults"}:
        found = found["faults"]
    listed = found if isinstance(found, list) else [found]
    if not listed or not all(isinstance(each, Mapping) for each in listed):
        raise ControlError("A fault is a mapping with the keys on and do.")
    return [{"on" if key is True else key: value for key, value in each.items()} for each in listed]  # YAML 1.1's on


def fault_add(options: _Options) -> int:
    """Order faults."""
    text = options.definition
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    for each in definitions(text):
        _print(_ask(options, "fault add", definition=each))
    return 0


def fault_list(options: _Options) -> int:
    """List them."""
    for each in _ask(options, "fault list"):
        _print(each)
    return 0


def fault_remove(options: _Options) -> int:
    """Remove one."""
    _ask(options, "fault remove", id=options.id)
    return 0


def fault_clear(options: _Options) -> int:
    """Remove all."""
    _ask(options, "fault clear")
    return 0


def fault_release(options: _Options) -> int:
    """Let go what hangs."""
    return _print({"released": _ask(options, "fault release", id=options.id)})


# --- time


def time_show(options: _Options) -> int:
    """What time it is."""
    return _print(_ask(options, "time"))


def time_advance(options: _Options) -> int:
    """Let time pass."""
    try:
        seconds = faultwords.seconds(options.duration)
    except ValueError as error:
        raise ControlError(str(error)) from None
    return _print(_ask(options, "time advance", _LONG, seconds=seconds))


# --- state


def state_dump(options: _Options) -> int:
    """Save everything."""
    return _print(_ask(options, "state dump", _LONG, file=str(options.file.absolute())))


def state_load(options: _Options) -> int:
    """Put what was saved into a state folder."""
    from vsslab import state  # noqa: PLC0415 - what most commands do without

    return _print(state.load(options.file, options.state))


# --- sight


def trace(options: _Options) -> int:
    """What has happened, and what happens."""
    after, entries = 0, []
    while True:
        try:
            found = _ask(options, "trace", after=after)
        except ControlError:
            if after:
                return 0  # the laboratory has ended
            raise
        after = found["last"]
        chosen = [each for each in found["entries"] if _wanted(each, options)]
        if options.timeline and options.follow:
            line = importlib.import_module("vsslab.timeline").line
            for each in chosen:
                print(line(each, color=_colored()))
        elif options.timeline:
            entries += chosen
        else:
            for each in chosen:
                _print(each)
        sys.stdout.flush()
        if not options.follow and not found["more"]:
            break
        if not found["more"]:
            time.sleep(_FOLLOW)
    if options.timeline:
        for text in importlib.import_module("vsslab.timeline").render(entries, color=_colored()):
            print(text)
    return 0


def _wanted(entry: Mapping[str, Any], options: _Options) -> bool:
    host = options.host is None or str(entry["host"]).lower() == options.host.lower()
    return host and (options.event is None or entry["event"] == options.event)


def coverage(options: _Options) -> int:
    """What is simulated; no laboratory needs to run."""
    return int(importlib.import_module("vsslab.coverage").main(options.rest) or 0)


def manual_page(options: _Options) -> int:
    """A page of the manual."""
    name = " ".join(options.words) or "vsslab"
    if name not in manual.pages():
        raise ControlError(f"There is no command {name!r}; `vsslab help` lists them all.")
    parser = options.parser
    for word in options.words:
        parser = manual.below(parser)[word]
    print(manual.page(name, parser), end="")
    return 0
