# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application without a writer is held while the copy is made, and goes on, by ansible-playbook."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

SNAPSHOT = {
    "name": "hooked",
    "volumes": ["D:"],
    "consistency": "crash",
    "hooks": {
        "before": [{"service": "LegacyDb", "action": "stop"}],
        "after": [{"service": "LegacyDb", "action": "start"}],
        "timeout": "15s",
    },
}


@pytest.fixture
def service(fleet):
    """A service on legacy01, running."""
    fleet.host("legacy01").services.configure("LegacyDb", display_name="Legacy Database", status="Running")
    return fleet.host("legacy01").services.get("LegacyDb")


def story(fleet):
    """What happened on legacy01, in order: the service's states, and the moment of a copy."""
    name = fleet.host("legacy01").name
    told = []
    for event in fleet.lab.trace.events(None, name):
        if event["event"] == "service" and event["service"] == "LegacyDb":
            told.append(event["status"])
        elif event["event"] == "vss" and event.get("phase") == "commit":
            told.append("commit")
    return told


def test_the_service_does_not_run_at_the_moment_of_the_copy(fleet, service):
    with fleet.unchanged("legacy01"):
        began = len(story(fleet))
        answer = fleet.ok("legacy01", "snapshot", SNAPSHOT)
        assert [e for e in story(fleet)[began:] if e in ("Stopped", "commit", "Running")] == [
            "Stopped",
            "commit",
            "Running",
        ]
        assert [(hook["when"], hook["exit_code"]) for hook in answer["hooks"]] == [("before", 0), ("after", 0)]
        assert fleet.ok("legacy01", "snapshot", SNAPSHOT)["changed"] is False
        fleet.ok("legacy01", "snapshot", {"name": "hooked", "state": "absent"})


def test_it_goes_on_when_the_controller_is_killed(fleet, service):
    slow = fleet.lab.faults.add(
        {
            "on": {"kind": "program", "host": "legacy01", "program": "diskshadow.exe", "arguments": "*create.dsh*"},
            "do": {"delay": 60},
        }
    )
    with fleet.unchanged("legacy01", shells=False):
        process = fleet.start("legacy01", "snapshot", SNAPSHOT)
        try:
            fleet.wait_for(lambda: slow.fired, 120)
            assert service.status == "Stopped"
        finally:
            fleet.kill(process)
        fleet.wait_for(lambda: service.status == "Running", 40)
        fleet.ok("legacy01", "cleanup")
