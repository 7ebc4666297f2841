# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A laboratory with its live page, and a real browser to look at it."""

from __future__ import annotations

import contextlib
import shutil

import pytest
from vsslab.lab import Lab
from vsslab.page import Page

MARKUP = "<img src=x onerror=alert(1)>"
SCENARIO = rf"""
name: page
hosts:
  - name: sql01
    users: [{{name: admin, administrator: true, remote: true}}]
    volumes: [{{letter: C}}, {{letter: D, label: "{MARKUP}"}}]
    apps: [{{name: Bank, kind: bank, folder: 'D:\\Bank'}}]
    writers:
      - name: SqlServerWriter
        app: Bank
        components: [{{name: Bank, files: [{{path: 'D:\Bank', filespec: 'Bank.*'}}]}}]
"""
MANY = """
  - name: host{number:04}
    profile: {profile}
    users: [{{name: admin, administrator: true, remote: true}}]
    volumes: [{{letter: C}}]
"""
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def start_lab(tmp_path):
    """Call it with a number of hosts beside sql01: a laboratory and its page."""
    with contextlib.ExitStack() as running:

        def start(hosts: int = 2) -> tuple[Lab, Page]:
            others = (
                MANY.format(number=n, profile=("server2019", "server2022", "windows11")[n % 3]) for n in range(hosts)
            )
            (tmp_path / "scenario.yml").write_text(SCENARIO + "".join(others), encoding="utf-8")
            lab = running.enter_context(Lab.from_scenario(tmp_path / "scenario.yml", state=tmp_path / "state"))
            return lab, running.enter_context(Page(lab))

        yield start


@pytest.fixture(scope="module")
def chromium(request, tmp_path_factory):
    """Headless Chromium: the machine's, else Debian's. While its driver is there, nobody else can run an event loop."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed.")
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    environment = None
    if found is None:
        root = request.getfixturevalue("debian")(PROGRAMS[0])
        environment = request.getfixturevalue("debian_tools").environment(root)
        found = str(root / "usr" / "lib" / "chromium" / PROGRAMS[0])
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=found,
            env=environment,
            # the page is our own: without the sandbox it runs as root and in containers too
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium):
    """A tab whose console must stay empty."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.set_default_timeout(20_000)
    yield page
    context.close()
    assert said == []
