# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's documentation is its argument spec."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring
from ansible_collections.umbra.vss.plugins.plugin_utils import _spec
from ansible_collections.umbra.vss.plugins.plugin_utils._translate import plain

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.yml"))


def spec(module):
    return _spec.argument_spec(_spec.read(module))


def test_every_module_has_documentation_an_action_and_nothing_else():
    assert MODULES == ["backup", "cleanup", "info", "restore", "snapshot", "storage"]
    for module in MODULES:
        code = (ROOT / "plugins" / "modules" / f"{module}.py").read_text(encoding="utf-8").splitlines()
        assert all(line.startswith("#") or not line for line in code)
        assert (ROOT / "plugins" / "action" / f"{module}.py").exists()


def test_the_action_group_holds_every_module():
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert sorted(runtime["action_groups"]["vss"]) == MODULES


def documented(module):
    """A module's documentation as Ansible's own reader gives it."""
    path = str(ROOT / "plugins" / "modules" / f"{module}.yml")
    return get_docstring(path, fragment_loader, collection_name="umbra.vss", plugin_type="module")[0]


@pytest.mark.parametrize("module", MODULES)
def test_options_are_read_as_ansible_reads_them(module):
    assert spec(module) == _spec.argument_spec(plain(documented(module)["options"]))


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_the_same_about_itself(module):
    doc = documented(module)
    support = {name: told["support"] for name, told in doc["attributes"].items()}
    assert support["check_mode"] == "full"
    assert support["async"] == "none"
    assert doc["attributes"]["platform"]["platforms"] == "windows"
    assert {"diff_mode", "idempotent", "become", "action", "bypass_host_loop"} < set(support)
    assert all(told["description"] for told in doc["attributes"].values())


@pytest.mark.parametrize("module", ["snapshot", "backup"])
def test_options_of_fragments_are_options_like_any_other(module):
    assert spec(module)["consistency"] == {
        "type": "str",
        "default": "application",
        "choices": ["application", "crash"],
    }


def test_dicts_with_suboptions_are_there_with_their_defaults():
    checked = _spec.check(spec("backup"), {"sources": "D:\\Bank", "destination": "E:\\x"}, "backup")
    assert checked.error == ""
    assert checked.values["writers"] == {"require": [], "exclude": [], "must_be_stable": False}
    assert checked.values["verify"] == {"mode": "all", "sample": 50}
    assert checked.values["sources"] == ["D:\\Bank"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": "x", "kind": "eternal"}, "kind"),
        ({"name": "x", "volume": "D:"}, "volume"),
        ({"name": "x", "state": "there"}, "state"),
        ({"name": "x", "timeout": "soon"}, "timeout"),
        ({"name": "x", "expose": [{"path": "P:"}]}, "volume"),
        ({"name": "x", "_internal": 1}, "_internal"),
    ],
)
def test_a_wrong_argument_is_named_in_one_line(arguments, told):
    error = _spec.check(spec("snapshot"), arguments, "snapshot").error
    assert told in error
    assert "\n" not in error


class TaggedText(str):
    pass


class TaggedList(list):
    pass


class TaggedDict(dict):
    pass


def test_values_lose_what_ansible_has_attached_to_them():
    given = TaggedDict(name=TaggedText("x"), volumes=TaggedList([TaggedText("D:")]))
    given["writers"] = TaggedDict(require=TaggedList([TaggedText("A")]))
    values = _spec.check(spec("snapshot"), given, "snapshot").values

    def exact(value):
        if type(value) is dict:
            return all(exact(key) and exact(item) for key, item in value.items())
        return all(map(exact, value)) if type(value) is list else type(value) in (str, int, bool, type(None))

    assert exact(values)
    assert values["writers"]["require"] == ["A"]


def test_an_option_that_is_a_secret_by_its_name_is_masked():
    secret = _spec.argument_spec({"share_password": {"type": "str"}, "user": {"type": "str"}})
    assert secret["share_password"]["no_log"] is True
    assert "no_log" not in secret["user"]
    assert _spec.check(secret, {"share_password": "hunter2"}, "x").secrets == {"hunter2"}
