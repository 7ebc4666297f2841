# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`info` says what is there, at the price of one pipeline."""

from __future__ import annotations

import pytest

HOSTS = ("sql01", "mail01", "web01", "legacy01", "pc01")
PARTS = ("system", "volumes", "providers", "writers", "snapshots", "storage", "records", "events")


@pytest.fixture(scope="module")
def answers(fleet):
    """One run of `info` over the whole fleet, and what the laboratory itself counted meanwhile."""
    before = {name: len(fleet.wire_sessions(name)) for name in HOSTS}
    # One host after the other: what one costs is counted, not what five do to each other on a small machine.
    run = fleet.play("windows", [{"name": "info", "umbra.vss.info": {}}], "-vv", "--forks", "1")
    assert run.code == 0, run.output
    results = {task["host"]: task["result"] for task in run.of("umbra.vss.info")}
    seen = {name: fleet.wire_sessions(name)[before[name] :] for name in HOSTS}
    return results, seen


@pytest.mark.parametrize("host", HOSTS)
def test_every_part_is_there_in_every_language(answers, host):
    results, _ = answers
    assert set(PARTS) <= set(results[host])
    assert results[host]["changed"] is False


@pytest.mark.parametrize("host", HOSTS)
def test_writers_are_the_hosts_own(answers, fleet, host):
    told = {(w["name"], w["id"]) for w in answers[0][host]["writers"]}
    real = {(w.name, "{" + str(w.class_id).strip("{}").lower() + "}") for w in fleet.host(host).vss.writers}
    assert told == real


@pytest.mark.parametrize("host", HOSTS)
def test_volumes_are_the_hosts_own(answers, fleet, host):
    told = {(v["id"], v["capacity"], v["file_system"]) for v in answers[0][host]["volumes"]}
    real = {(v.device_id, v.capacity, v.file_system) for v in fleet.host(host).volumes}
    assert told == real


@pytest.mark.parametrize("host", HOSTS)
def test_it_costs_one_pipeline(answers, fleet, host):
    cmd_shell = 2 if host in fleet.winrm_hosts else 0
    assert answers[0][host]["wire"]["pipelines"] == 1
    if answers[0][host]["wire"]["requests"] != 6 + cmd_shell:
        assert fleet.cheapest(host, "info", {})["wire"]["requests"] == 6 + cmd_shell


@pytest.mark.parametrize("host", HOSTS)
def test_the_laboratory_counts_the_same(answers, host):
    wire, sessions = answers[0][host]["wire"], answers[1][host]
    assert wire["requests"] == sum(s.operations for s in sessions)
    assert wire["authentication"] == sum(s.authentications for s in sessions)
    assert wire["bytes_up"] == sum(s.bytes_up for s in sessions)
    assert wire["bytes_down"] == sum(s.bytes_down for s in sessions)


def test_gather_asks_for_no_more_than_was_wanted(fleet):
    result = fleet.ok("sql01", "info", {"gather": ["volumes"]})
    assert result["volumes"]
    assert not set(PARTS) - {"volumes"} & set(result)


def test_check_mode_is_the_same_for_a_reading(fleet):
    with fleet.unchanged("sql01"):
        assert fleet.ok("sql01", "info", {"gather": ["writers"]}, "--check")["writers"]


def test_an_unknown_part_is_refused_before_the_host_is_asked(fleet):
    before = len(fleet.wire_sessions("sql01"))
    sentence = fleet.fails("sql01", "info", {"gather": ["wishes"]})
    assert "wishes" in sentence
    assert "writers" in sentence
    assert len(fleet.wire_sessions("sql01")) == before
