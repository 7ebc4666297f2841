# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the laboratory that offers every authentication it has, and what the clients need to be there."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from vsslab.lab import Lab
from vsslab.wire.settings import Settings

from .drivers import Target

HERE = Path(__file__).parent
SCENARIO = """
name: clients
hosts:
  - name: client01
    volumes: [{letter: C}]
    users:
      - {name: Administrator, administrator: true, remote: true}
"""
USER = "Administrator"
GO_PACKAGES = ("golang-go", "golang-github-masterzen-winrm-dev")


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


# How the service is set, by the names that matrix.yml uses.
ALL = frozenset({"negotiate", "basic", "credssp", "certificate"})
SERVICES = {
    "strict": Settings(authentication=ALL),
    "unencrypted": Settings(authentication=ALL, allow_unencrypted=True),
    "bound": Settings(authentication=ALL, cbt="strict"),
    "default": Settings(),
}


@pytest.fixture(scope="session")
def targets(tmp_path_factory):
    """One laboratory with one host for each setting of the service."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "scenario.yml").write_text(SCENARIO, encoding="utf-8")
    with contextlib.ExitStack() as running:
        labs = {
            name: running.enter_context(
                Lab.from_scenario(folder / "scenario.yml", state=folder / name, settings=settings)
            )
            for name, settings in SERVICES.items()
        }
        yield {name: _target(lab, folder / f"{name}.pem") for name, lab in labs.items()}


def _target(lab: Lab, certificate: Path) -> Target:
    right = lab.passwords["client01", USER]
    ports = dict(zip(("http", "https"), lab.ports, strict=True))
    certificate.write_bytes(lab.client_certificate("client01", USER))
    passwords = {"right": right, "wrong": right[::-1]}
    return Target(lab.addresses["client01"], ports, lab.ca, USER, passwords, certificate, certificate)


@pytest.fixture(scope="session")
def curl():
    found = shutil.which("curl")
    if found is None:
        pytest.skip("curl is not installed.")
    return found


@pytest.fixture(scope="session")
def go_client(debian, tmp_path_factory):
    """Our program over github.com/masterzen/winrm, compiled with the machine's Go or Debian's."""
    go = shutil.which("go")
    root = debian(*(GO_PACKAGES[1:] if go else GO_PACKAGES))
    program = tmp_path_factory.mktemp("go") / "winrm-client"
    home = {} if go else {"GOROOT": str(max((root / "usr" / "lib").glob("go-1.*")))}
    subprocess.run(
        [go or f"{home['GOROOT']}/bin/go", "build", "-o", program, "."],
        cwd=HERE / "go",
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(program.parent),
            "GOPATH": str(root / "usr" / "share" / "gocode"),
            "GO111MODULE": "off",
            "GOFLAGS": "",
            "CGO_ENABLED": "0",
            "GOCACHE": str(root.parent / "go-cache"),
            **home,
        },
        check=True,
        capture_output=True,
        timeout=300,
    )
    return program
