# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""schtasks.exe: scheduled tasks. Source: "schtasks" and its subpages in the Windows Commands documentation."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Callable
from xml.sax.saxutils import escape

from ..windows.commandline import program_of
from ..windows.processes import Invocation
from ..windows.tasks import Task, folder_path
from ..windows.taskxml import TaskError
from .tool import Tool, dispatch

_XML = (
    '<?xml version="1.0" encoding="UTF-16"?>\n<Task version="1.2" '
    'xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task"><Triggers>{trigger}</Triggers><Principals>'
    '<Principal id="Author">{who}<RunLevel>{level}</RunLevel></Principal></Principals><Settings>'
    "<MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy></Settings>"
    '<Actions Context="Author"><Exec><Command>{command}</Command>{arguments}</Exec></Actions></Task>'
)
_TRIGGERS = {
    "once": "<TimeTrigger><StartBoundary>{start}</StartBoundary></TimeTrigger>",
    "onstart": "<BootTrigger/>",
    "daily": "<CalendarTrigger><StartBoundary>{start}</StartBoundary><ScheduleByDay>"
    "<DaysInterval>{every}</DaysInterval></ScheduleByDay></CalendarTrigger>",
}


def main(call: Invocation) -> int:
    """Run schtasks; 0, or 1. Without a command it lists the tasks."""
    if len(call.argv) == 1:
        return _query(Tool(call, []))
    try:
        return dispatch(call, VERBS)
    except TaskError as problem:
        tool = Tool(call, [])
        tool.complain("error", text=problem.text)
        return 1


def _name(tool: Tool) -> tuple[str, str]:
    """Folder and name of /tn; TaskError when it is missing."""
    text = tool.value("/tn")
    if not text:
        raise TaskError(0x80070057, "Invalid syntax. /tn is missing.")
    folder, _, name = text.rpartition("\\")
    return folder_path(folder), name


def _left(tool: Tool, verb: str) -> int | None:
    """Refuse what nobody took; None when nothing is left."""
    return tool.refuse(f"{verb} {tool.arguments[0]}") if tool.arguments else None


def _query(tool: Tool) -> int:
    form, verbose = (tool.value("/fo") or "table").lower(), tool.switch("/v")
    bare, xml, wanted = tool.switch("/nh"), tool.switch("/xml"), tool.value("/tn")
    if tool.arguments or form not in ("table", "list", "csv"):
        return tool.refuse("/query " + " ".join(tool.arguments))
    tasks = tool.host.tasks.list()
    if wanted is not None:
        folder, _, name = wanted.rpartition("\\")
        tasks = [tool.host.tasks.get(folder_path(folder), name)]
    if xml:
        for task in tasks:
            for line in task.xml.splitlines():
                tool.call.out(line)
        return 0
    columns = list(tool.words["task_columns"])
    chosen = range(len(columns)) if verbose else (1, 2, 3)
    rows = [[_cells(tool, task)[at] for at in chosen] for task in tasks]
    _print(tool, [columns[at] for at in chosen], rows, form, bare=bare)
    return 0


def _cells(tool: Tool, task: Task) -> list[str]:
    info, language, clock = tool.host.tasks.info(task.path, task.name), tool.host.language, tool.host.clock
    never = str(tool.words["never"])

    def when(moment: datetime.datetime | None) -> str:
        return never if moment is None else language.local_datetime(clock.local(moment))

    action = task.definition.actions[0]
    result = info.last_result - (1 << 32 if info.last_result >> 31 else 0)
    return [tool.host.name, task.uri, when(info.next_run), tool.words["states"][task.state], "Interactive/Background",
            when(info.last_run), str(result), task.definition.author or never,
            f"{action.command} {action.arguments}".strip(), task.account.name]  # fmt: skip


def _print(tool: Tool, columns: list[str], rows: list[list[str]], form: str, *, bare: bool) -> None:
    if form == "csv":
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([*([] if bare else [columns]), *rows])
        for line in text.getvalue().splitlines():
            tool.call.out(line)
    elif form == "list":
        width = max(len(each) for each in columns) + 1
        for row in rows:
            for line in ("", *(f"{name + ':':<{width}} {cell}" for name, cell in zip(columns, row, strict=True))):
                tool.call.out(line)
    else:
        widths = [max(len(each[at]) for each in [columns, *rows]) for at in range(len(columns))]
        head = [columns, ["=" * width for width in widths]]
        for row in [*([] if bare else head), *rows]:
            tool.call.out(" ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _run(tool: Tool) -> int:
    return _ordered(tool, "/run", tool.host.tasks.start, "task_run")


def _end(tool: Tool) -> int:
    return _ordered(tool, "/end", tool.host.tasks.stop, "task_ended")


def _ordered(tool: Tool, verb: str, act: Callable[..., object], told: str) -> int:
    """Do with a task what a verb without further options says, and tell so."""
    folder, name = _name(tool)
    if (refused := _left(tool, verb)) is not None:
        return refused
    act(folder, name, by=tool.call.user)
    tool.say(told, name=folder.lstrip("\\") + name)
    return 0


def _delete(tool: Tool) -> int:
    folder, name = _name(tool)
    force = tool.switch("/f")
    if (refused := _left(tool, "/delete")) is not None:
        return refused
    if not force:
        return tool.refuse("/delete without /f, which asks a question")
    tool.host.tasks.unregister(folder, name, by=tool.call.user)
    tool.say("task_deleted", name=folder.lstrip("\\") + name)
    return 0


def _change(tool: Tool) -> int:
    folder, name = _name(tool)
    enable, disable = tool.switch("/enable"), tool.switch("/disable")
    if tool.arguments or enable == disable:
        return tool.refuse("/change but with /enable or /disable")
    tool.host.tasks.set_enabled(folder, name, enable, by=tool.call.user)
    tool.say("task_changed", name=folder.lstrip("\\") + name)
    return 0


def _create(tool: Tool) -> int:
    folder, name = _name(tool)
    force, account, password = tool.switch("/f"), tool.value("/ru"), tool.value("/rp")
    source = tool.value("/xml")
    if source is not None:
        files = tool.host.files.as_user(tool.call.user, cwd=tool.call.cwd)
        data = files.read(source)
        xml = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    else:
        built = _built(tool, account)
        if isinstance(built, int):
            return built
        xml = built
    if (refused := _left(tool, "/create")) is not None:
        return refused
    tool.host.tasks.register(folder, name, xml, account or tool.call.user.name, force, password=password,
                             by=tool.call.user)  # fmt: skip
    tool.say("task_created", name=folder.lstrip("\\") + name)
    return 0


def _built(tool: Tool, account: str | None) -> str | int:
    """The XML of /tr, /sc, /st, /sd, /mo, /rl; the exit code when something of it is not simulated."""
    program, kind = tool.value("/tr"), (tool.value("/sc") or "").lower()
    level = (tool.value("/rl") or "limited").lower()
    time, date, every = tool.value("/st") or "00:00", tool.value("/sd"), tool.value("/mo") or "1"
    if program is None or kind not in _TRIGGERS or level not in ("limited", "highest") or date is not None:
        return tool.refuse(f"/create with /sc {kind}{' /sd' if date else ''}")
    if account is None:
        return tool.refuse("/create without /ru, a task that runs only while a user is logged on")
    today = tool.host.clock.local(tool.host.clock.now())
    trigger = _TRIGGERS[kind].format(start=f"{today:%Y-%m-%d}T{time}:00", every=int(every) if every.isdigit() else 1)
    command, rest = program_of(program)
    arguments = f"<Arguments>{escape(rest.strip())}</Arguments>" if rest.strip() else ""
    return _XML.format(trigger=trigger, command=escape(command), arguments=arguments,
                       who=f"<UserId>{escape(account)}</UserId>",
                       level="HighestAvailable" if level == "highest" else "LeastPrivilege")  # fmt: skip


VERBS = {"/query": _query, "/run": _run, "/end": _end, "/delete": _delete, "/change": _change, "/create": _create}
