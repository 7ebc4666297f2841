# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every action has in common: refusals, failures in one sentence, check mode, diff, secrets, counters."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.umbra.vss.plugins.plugin_utils import _action, _carrier
from ansible_collections.umbra.vss.plugins.plugin_utils._pipeline import (
    CommandFailed,
    ConnectionLost,
    HostError,
    ProgramFailed,
    Unsendable,
)
from ansible_collections.umbra.vss.plugins.plugin_utils._translate import plain, plain_value
from ansible_collections.umbra.vss.plugins.plugin_utils._vss.errors import VssFailure

SPEC = {"name": {"type": "str"}, "share_password": {"type": "str"}}


class TaskTimeout(BaseException):
    """Stands for Ansible's TaskTimeoutError, which is no Exception."""


class Display:
    def __init__(self, verbosity):
        self.verbosity, self.lines = verbosity, []

    def display(self, text):
        self.lines.append(text)


class Runner:
    closed = False
    repaired = ()

    def close(self):
        self.closed = True


@pytest.fixture
def act(monkeypatch):
    """Run an action whose work is a function, or an exception to raise."""
    runner = Runner()
    monkeypatch.setattr(_action, "open_runner", lambda connection, name, counters: runner)
    monkeypatch.setattr(_action._spec, "read", lambda module: SPEC)

    class ActionModule(_action.VssAction):
        def plan(self, host, args, check):
            if isinstance(work, BaseException):
                raise work
            return work(self, host, args, check)

    def run(what, *, args=None, verbosity=0, connection=None, become=False, async_val=0, **task):
        nonlocal work
        work = what
        told = {"check_mode": False, "diff": False, "no_log": False, "delegate_to": None, "loop": None, **task}
        told["action"] = "umbra.vss.info"
        task = SimpleNamespace(args=args or {}, async_val=async_val, **told)
        play = SimpleNamespace(become=become, no_log=False, remote_addr="10.0.0.1")
        shell = SimpleNamespace(tmpdir=None)
        connection = connection or SimpleNamespace(transport="psrp", become=None, _shell=shell)
        action = ActionModule(task, connection, play, None, None, None)
        action._display = Display(verbosity)
        run.action, run.runner = action, runner
        return action.run(task_vars={"inventory_hostname": "sql01"})

    work = None
    return run


def test_a_plan_gets_its_host_its_arguments_and_the_check_mode(act):
    seen = []

    def work(action, host, args, check):
        seen.append((host.name, args, check))
        return {"changed": True}

    result = act(work, args={"name": "x"}, check_mode=True)
    given = {"name": "x", "share_password": None}
    assert seen == [("sql01", given, True)]
    assert result["changed"] is True
    assert result["invocation"] == {"module_args": given}
    assert act.runner.closed


def test_a_host_that_work_is_delegated_to_is_called_by_its_own_name(act):
    seen = []
    act(lambda action, host, *_: seen.append(host.name) or {}, delegate_to="sql02")
    assert seen == ["sql02"]


def test_a_wrong_argument_fails_before_anything_is_connected(act):
    result = act(lambda *_: pytest.fail("reached"), args={"nme": "x"})
    assert result["failed"]
    assert "nme" in result["msg"]
    assert not act.runner.closed


@pytest.mark.parametrize(
    ("failure", "told", "more"),
    [
        (VssFailure("There is no volume Q:.", left_behind=[]), "There is no volume Q:.", {"left_behind": []}),
        (CommandFailed("k", HostError("denied", "Id", command="Get-Acl")), "Get-Acl failed: denied", {}),
        (ProgramFailed("k", "robocopy", 16, ["bad"]), "robocopy ended with exit code 16: bad", {"exit_code": 16}),
        (Unsendable("no quotes"), "no quotes", {}),
        (_carrier.Unusable("use psrp"), "use psrp", {}),
    ],
)
def test_a_failure_is_one_sentence(act, failure, told, more):
    result = act(failure)
    assert (result["failed"], result["msg"]) == (True, told)
    assert more.items() <= result.items()
    assert "exception" not in result
    assert act.runner.closed


@pytest.mark.parametrize("lost", [ConnectionLost("sql01", "it did not answer in time"), _carrier.Refused("quota")])
def test_a_lost_connection_is_called_unreachable(act, lost):
    with pytest.raises(AnsibleConnectionFailure, match=str(lost)):
        act(lost)
    assert act.runner.closed


def test_a_bug_is_told_politely_and_its_traceback_only_to_those_who_asked(act):
    result = act(KeyError("shadow"))
    assert result["msg"].startswith("this is a bug in umbra.vss")
    assert "KeyError: 'shadow'" in result["msg"]
    assert "exception" not in result
    assert "Traceback" in act(KeyError("shadow"), verbosity=3)["exception"]


def test_the_timeout_of_a_task_closes_the_session_and_passes(act):
    with pytest.raises(TaskTimeout):
        act(TaskTimeout())
    assert act.runner.closed


def test_a_connection_that_had_to_be_made_again_is_told(act):
    Runner.repaired = ("it did not answer in time",)
    try:
        told = act(lambda *_: {"warnings": ["first"]})["warnings"]
    finally:
        Runner.repaired = ()
    assert told[0] == "first"
    assert "connection" in told[1]
    assert "it did not answer in time" in told[1]


@pytest.mark.parametrize(("loop", "closes"), [(None, 1), ([1, 2], 0)])
def test_the_connection_is_closed_with_the_task_unless_a_loop_goes_on_with_it(act, loop, closes):
    closed = []
    shell = SimpleNamespace(tmpdir=None)
    connection = SimpleNamespace(transport="psrp", become=None, _shell=shell, close=lambda: closed.append(1))
    act(lambda *_: {}, connection=connection, loop=loop)
    assert len(closed) == closes


def test_what_changed_is_shown_in_diff_mode_only(act):
    def work(*_):
        return {"changed": True, "diff": {"before": "", "after": "x"}}

    assert "diff" not in act(work)
    assert act(work, diff=True)["diff"] == {"before": "", "after": "x"}


def test_the_cost_on_the_wire_is_shown_from_verbosity_two(act):
    assert "wire" not in act(lambda *_: {}, verbosity=1)
    assert act(lambda *_: {}, verbosity=2)["wire"]["requests"] == 0


def test_secrets_are_masked_wherever_they_turn_up(act):
    result = act(lambda *_: {"told": ["it was hunter2"]}, args={"share_password": "hunter2"})
    assert "hunter2" not in str(result)


def test_progress_is_one_line_with_the_hosts_name_and_silent_under_no_log(act):
    def work(action, *_):
        action.say("copying 12 of 340 files,\n4.1 MB")
        return {}

    act(work)
    assert act.action._display.lines == ["sql01: copying 12 of 340 files, 4.1 MB"]
    act(work, no_log=True)
    assert act.action._display.lines == []


def test_become_and_async_are_refused_with_what_to_do_instead(act):
    assert "administrator" in act(lambda *_: {}, become=True)["msg"]
    assert "leave async out" in act(lambda *_: {}, async_val=60)["msg"]


class TestConnections:
    @pytest.mark.parametrize("kind", ["ssh", "local", "docker"])
    def test_others_than_psrp_and_winrm_are_refused_by_name(self, kind):
        with pytest.raises(_carrier.Unusable, match=f"not over {kind}: set ansible_connection: psrp"):
            _carrier.open_runner(SimpleNamespace(transport=kind), "sql01")

    def test_become_is_refused(self):
        with pytest.raises(_carrier.Unusable, match="administrator"):
            _carrier.open_runner(SimpleNamespace(transport="psrp", become=object()), "sql01")

    @pytest.mark.parametrize(("kind", "module"), [("psrp", "pypsrp"), ("winrm", "pywinrm")])
    def test_a_missing_library_is_named_with_the_version_to_install(self, kind, module, monkeypatch):
        def missing(name):
            raise ImportError(f"No module named {name!r}")

        monkeypatch.setattr(_carrier, "import_module", missing)
        with pytest.raises(_carrier.Unusable, match=f'pip install "{module}>='):
            _carrier.open_runner(SimpleNamespace(transport=kind, become=None), "sql01")

    @pytest.mark.parametrize(("kind", "lacks"), [("psrp", "runspace"), ("winrm", "protocol")])
    def test_a_connection_that_has_changed_inside_is_told_as_such(self, kind, lacks):
        class Connection:
            transport, become = kind, None

            def _connect(self):
                pass

        with pytest.raises(_carrier.Unusable, match=f"has no {lacks}"):
            _carrier.open_runner(Connection(), "sql01")

    def test_a_psrp_connection_is_left_as_it_was_found(self):
        transport = SimpleNamespace(endpoint="http://sql01", encryption=None, session=None)
        wsman = SimpleNamespace(transport=transport, operation_timeout=120)
        pool = SimpleNamespace(connection=wsman, state=2, _fragmenter=SimpleNamespace(serializer=None))

        class Connection:
            transport, become, runspace = "psrp", None, pool

            def _connect(self):
                pass

        runner = _carrier.open_runner(Connection(), "sql01")
        assert wsman.transport.endpoint == "http://sql01"
        assert wsman.transport is not transport
        assert wsman.operation_timeout == 60
        runner.close()
        assert wsman.transport is transport
        assert wsman.operation_timeout == 120

    @pytest.mark.parametrize(("option", "opened"), [(None, "Microsoft.PowerShell"), ("Umbra", "Umbra")])
    def test_over_winrm_a_pool_of_our_own_is_opened_and_closed(self, option, opened, monkeypatch):
        from pypsrp.powershell import RunspacePool

        said = []
        monkeypatch.setattr(RunspacePool, "open", lambda pool: said.append(pool.shell.resource_uri))
        monkeypatch.setattr(RunspacePool, "close", lambda pool: said.append("close"))

        class Connection:
            transport, become = "winrm", None
            protocol = SimpleNamespace(transport=SimpleNamespace(endpoint="http://sql01", encryption=None))

            def _connect(self):
                pass

            def get_option(self, name):
                if option is None:
                    raise KeyError(name)
                return option

        runner = _carrier.open_runner(Connection(), "sql01")
        runner.close()
        assert said == [f"http://schemas.microsoft.com/powershell/{opened}", "close"]

    def test_a_host_that_opens_no_session_is_told_with_the_reason(self, monkeypatch):
        from pypsrp.exceptions import WSManFaultError
        from pypsrp.powershell import RunspacePool

        def refuse(pool):
            raise WSManFaultError(5, None, "Zugriff verweigert", None, None, None)

        monkeypatch.setattr(RunspacePool, "open", refuse)

        class Connection:
            transport, become = "winrm", None
            protocol = SimpleNamespace(transport=SimpleNamespace(endpoint="http://sql01", encryption=None))

            def _connect(self):
                pass

        with pytest.raises(_carrier.Refused, match="access is denied"):
            _carrier.open_runner(Connection(), "sql01")

    def test_a_connection_that_cannot_be_made_is_told_in_the_librarys_reason(self):
        from requests.exceptions import ConnectTimeout

        failure = AnsibleConnectionFailure("a long\nstory")
        failure.__cause__ = ConnectTimeout()
        assert _carrier.unreachable(failure, "sql01") == "sql01 cannot be reached: it could not be reached in time"
        assert _carrier.unreachable(AnsibleError("a\nstory"), "sql01") == "sql01 cannot be reached: a story"


class Tagged(str):
    pass


class TestValues:
    def test_plain_means_exact_types(self):
        assert type(plain(Tagged("x"))) is str
        assert plain({Tagged("a"): (1, None, 2.5, b"x")}) == {"a": [1, None, 2.5, b"x"]}

    def test_objects_become_dicts_of_all_their_properties(self):
        found = SimpleNamespace(adapted_properties={"A": 1}, extended_properties={"B": [2]}, property_sets=[])
        assert plain_value(found) == {"A": 1, "B": [2]}
