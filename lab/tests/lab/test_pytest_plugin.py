# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

import pytest
import vsslab
from vsslab import scenario
from vsslab.lab import Lab

pytestmark = pytest.mark.slow

pytest_plugins = ["pytester"]

HEAD = """
    import pytest, socket
    from pypsrp.powershell import PowerShell, RunspacePool
    from pypsrp.wsman import WSMan

    def run(lab, command, host=None):
        wsman = WSMan(lab.address(host), ssl=False, auth="negotiate", username=lab.user(host),
                      password=lab.password(host), reconnection_retries=0)
        with wsman, RunspacePool(wsman) as pool:
            shell = PowerShell(pool)
            shell.add_cmdlet(command)
            return shell.invoke()
"""


@pytest.fixture
def inner(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(vsslab.__file__).parent.parent))
    pytester.makeini("[pytest]\naddopts = --strict-markers -p no:cacheprovider\n")

    def run(body: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_inner="\n".join([_dedent(HEAD), _dedent(body)]))
        return pytester.runpytest_subprocess("-p", "vsslab.pytest_plugin", *arguments)

    return run


def _dedent(text: str) -> str:
    return textwrap.dedent(text)


def test_a_fleet_in_a_test_answers_an_unmodified_client(inner):
    inner("""
    def test_x(vsslab):
        lab = vsslab.up(hosts=2, profile="server2019", language="de-DE")
        assert lab.address("host1") != lab.address("HOST2")
        assert lab.password("host1") != lab.password("host2")
        assert len(run(lab, "Get-TimeZone", "host2")) == 1
        assert lab.hosts["host2"].profile.key == "server2019"
        assert "host1" in lab.inventory_file.read_text()
        assert vsslab.lab is lab
    """).assert_outcomes(passed=1)


def test_the_marker_starts_one_and_time_and_faults_are_at_hand(inner):
    inner("""
    @pytest.mark.vsslab(hosts=1, time="2026-03-29T00:30:00Z")
    def test_x(vsslab):
        lab = vsslab.lab
        before = lab.hosts["host1"].clock.now()
        lab.time.advance(70)
        assert (lab.hosts["host1"].clock.now() - before).total_seconds() == 70
        fault = lab.faults.add({"on": {"operation": "Create"}, "do": {"status": 503}})
        with pytest.raises(Exception, match="503"):
            run(lab, "Get-TimeZone")
        assert fault.fired == 1

    @pytest.mark.vsslab("office")
    def test_y(vsslab):
        assert set(vsslab.lab.addresses) == {"sql01", "mail01", "web01", "legacy01", "pc01"}
    """).assert_outcomes(passed=2)


def test_nothing_is_left_when_the_test_is_over(inner):
    inner("""
    kept = []

    def test_x(vsslab):
        kept.append(vsslab.up().address())

    def test_y():
        with socket.socket() as trial:
            assert trial.connect_ex((kept[0], 5985)) != 0
    """).assert_outcomes(passed=2)


def test_a_failure_shows_the_timeline(inner):
    result = inner("""
    @pytest.mark.vsslab
    def test_x(vsslab):
        run(vsslab.lab, "Get-TimeZone")
        assert False
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*vsslab timeline: fleet*", "*Get-TimeZone*"])


def test_what_makes_no_sense_is_an_error_of_the_test(inner):
    result = inner("""
    @pytest.mark.vsslab("office", hosts=2)
    def test_x(vsslab):
        pass

    def test_y(vsslab):
        with pytest.raises(RuntimeError, match="No laboratory was started"):
            vsslab.lab
        with pytest.raises(Exception, match="'colour' is not known"):
            vsslab.up(colour="red")
    """)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*give either a scenario or hosts*"])


def test_tests_side_by_side_have_laboratories_of_their_own(inner):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed.")
    inner(
        """
    @pytest.mark.parametrize("number", range(8))
    def test_x(vsslab, number):
        lab = vsslab.up(hosts=2)
        lab.hosts["host1"].files.write("C:\\\\mine.txt", str(number).encode())
        assert len(run(lab, "Get-TimeZone", "host1")) == 1
        assert lab.hosts["host1"].files.read("C:\\\\mine.txt") == str(number).encode()
    """,
        "-p",
        "xdist",
        "-n",
        "2",
    ).assert_outcomes(passed=8)


def test_a_fleet_is_up_and_down_in_less_than_a_tenth_of_a_second(tmp_path):
    def once(number: int) -> float:
        began = time.perf_counter()
        with Lab(scenario.uniform(1), state=tmp_path / str(number)):
            pass
        return time.perf_counter() - began

    once(0)
    assert min(once(number) for number in range(1, 8)) < 0.1
