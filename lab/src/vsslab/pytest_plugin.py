# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pytest plugin: a laboratory for each test, in the test's own process.

    def test_something(vsslab):
        lab = vsslab.up(hosts=2, profile="server2022")
        connect(lab.address("host1"), lab.user("host1"), lab.password("host1"))

    @pytest.mark.vsslab(scenario="fleet.yml", time="virtual")
    def test_something_else(vsslab):
        vsslab.lab.time.advance(70)

A test that fails has the timeline of its laboratories in its report.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from vsslab import scenario as scenarios
from vsslab.lab import Lab

_LABS = pytest.StashKey["list[Fleet]"]()
_LONGEST = 400  # lines of a timeline in a report


class Fleet(Lab):
    """A laboratory of a test, with the words that tests use most."""

    def address(self, host: str | None = None) -> str:
        """The address of a host (default: the first one)."""
        return self.addresses[self._named(host)]

    def user(self, host: str | None = None) -> str:
        """The account that the inventory connects with."""
        return self._specs[self._named(host)].user.name

    def password(self, host: str | None = None, user: str | None = None) -> str:
        """The password of an account (default: of `user`)."""
        name = self._named(host)
        return self.passwords[name, user or self.user(name)]

    @property
    def inventory_file(self) -> Path:
        """The Ansible inventory, as a file."""
        path = self.state / "inventory.yml"
        if not path.exists():
            self.write_inventory(path)
        return path

    def _named(self, host: str | None) -> str:
        wanted = host.lower() if host is not None else None
        for name in self._specs:
            if wanted is None or name.lower() == wanted:
                return name
        raise KeyError(host)


class Laboratories:
    """The laboratories of one test: `up` starts one, all of them are stopped when the test is over."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._node = request.node
        self._factory: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        self._close = contextlib.ExitStack()
        self._node.stash[_LABS] = []

    @property
    def lab(self) -> Fleet:
        """The laboratory that was started first, by the marker or by `up`."""
        started: list[Fleet] = self._node.stash[_LABS]
        if not started:
            raise RuntimeError("No laboratory was started: call vsslab.up(), or mark the test with pytest.mark.vsslab.")
        return started[0]

    def up(
        self, scenario: str | Path | None = None, *, hosts: int | None = None, time: str | None = None, **fields: Any
    ) -> Fleet:
        """Start a laboratory: of a scenario (a file, or a name that comes along), or of so many equal hosts.

        `time`: real, virtual, or the date virtual time begins with; `fields`: keys of a host, for equal hosts only
        (profile, language, volumes, users ...).  ScenarioError, and ValueError for what does not go together.
        """
        if scenario is not None and (hosts is not None or fields):
            raise ValueError("A scenario says its hosts itself; give either a scenario or hosts.")
        plan = scenarios.load(scenario) if scenario is not None else scenarios.uniform(hosts or 1, **fields)
        if time is not None:
            plan = dataclasses.replace(plan, time=scenarios.time_of(time))
        fleet = Fleet(plan, state=self._factory.mktemp("vsslab"))
        self._node.stash[_LABS].append(fleet)
        self._close.enter_context(fleet)
        return fleet

    def close(self) -> None:
        """Stop everything."""
        self._close.close()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "vsslab(scenario=None, hosts=None, time=None, **fields): start a laboratory for the fixture `vsslab`"
    )


@pytest.fixture
def vsslab(request: pytest.FixtureRequest) -> Iterator[Laboratories]:
    """Laboratories of Windows hosts for this test; with the marker `vsslab` one is up already, as `vsslab.lab`."""
    made = Laboratories(request)
    try:
        marker = request.node.get_closest_marker("vsslab")
        if marker is not None:
            made.up(*marker.args, **marker.kwargs)
        yield made
    finally:
        made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Attach the timeline of its laboratories to the report of a test that failed."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for fleet in item.stash.get(_LABS, []):
            report.sections.append((f"vsslab timeline: {fleet.scenario.name}", _timeline(fleet)))


def _timeline(fleet: Fleet) -> str:
    from vsslab import timeline  # noqa: PLC0415 - only for tests that fail

    lines = list(timeline.render(fleet.trace))
    left_out = [f"... {len(lines) - _LONGEST} earlier lines"] if len(lines) > _LONGEST else []
    return "\n".join([*left_out, *lines[-_LONGEST:]])
