# Copyright: (c) 2026, umbra contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a toy engine behind the real wire, and the real clients in front of it."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import random
import ssl
import threading
import time
import warnings
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psrpcore import types
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan
from vsslab.engine.errors import ErrorInfo, PipelineFailed, PipelineStopped
from vsslab.faults import Faults
from vsslab.trace import Trace
from vsslab.windows.clock import Clock
from vsslab.windows.processes import CONTROL_C_EXIT, Process, ProgramNotFound
from vsslab.windows.users import User
from vsslab.wire.server import WireServer, WireThread
from vsslab.wire.settings import Settings

PASSWORD = "Geheim: 1$ö"  # a colon, a blank and a letter beyond ASCII
QUICK = Settings(coalesce=0.02, stop_patience=3.0)


class ToyRunspace:
    """Knows a few commands, enough to make every kind of message."""

    def __init__(self, host, user, shell_id, configuration):
        self.host, self.user, self.shell_id, self.configuration = host, user, shell_id, configuration
        self.kept = None

    def invoke(self, powershell, sink, stop, pipeline_id, input=()):  # noqa: A002 - as the engine calls it
        self.input = input
        for command in powershell.commands:
            arguments = [value for _, value in command.parameters]
            self._command(command.command_text, arguments, sink, stop)

    def _command(self, name, arguments, sink, stop):  # noqa: PLR0912 - one branch a command
        answers = {
            "Big": lambda: "x" * arguments[0],
            "Reveal": lambda: str(arguments[0].decrypt()),
            "Configuration": lambda: self.configuration,
            "Delegated": lambda: self.user.delegated,
        }
        if name in answers:
            sink.output(answers[name]())
        if name == "Echo":
            for each in arguments:
                sink.output(each)
        elif name == "Input":
            for each in self.input:
                sink.output(each)
        elif name == "Keep":
            sink.output(self.kept)
            self.kept = arguments[0]
        elif name == "Who":
            sink.output(f"{self.user.domain}\\{self.user.name}")
        elif name == "Many":
            for number in range(arguments[0]):
                sink.output("x" * 1000 + str(number))
        elif name == "Length":
            sink.output(types.PSInt(len(arguments[0])))
        elif name == "Slowly":
            sink.output("first")
            time.sleep(arguments[0])
            sink.output("second")
        elif name == "Wait":
            sink.output("waiting")
            stop.wait(20)
            raise PipelineStopped
        elif name == "Streams":
            sink.warning("careful")
            sink.verbose("by the way")
            sink.progress("Copying", "half", 50)
            sink.error(ErrorInfo("not so bad", "Minor,Toy"))
        elif name == "Fail":
            raise PipelineFailed(ErrorInfo("it broke", "Major,Toy"))
        elif name == "Crash":
            raise RuntimeError("a defect")


class ToyProcesses:
    """Three programs."""

    def __init__(self):
        self.killed = []

    def find(self, name, cwd="C:\\"):
        base = name.rpartition("\\")[2].lower().removesuffix(".exe")
        if base not in ("say", "wait", "cat", "cmd"):
            raise ProgramNotFound(name)
        return f"C:\\Windows\\System32\\{base}.exe"

    def run(self, argv, user, *, out, err, stdin="", cwd="", stop, owner=None, command_line=None):
        name = self.find(argv[0]).rpartition("\\")[2]
        if name == "cmd.exe":
            raise ProgramNotFound(argv[-1].split()[0])
        if name == "cat.exe":
            for line in stdin.splitlines():
                out(line)
            return 0
        if name == "wait.exe":
            out("waiting")
            stop.wait(20)
            return CONTROL_C_EXIT
        for word in argv[2:]:
            out(word)
        err(f"said in {cwd}")
        return int(argv[1])

    def kill_owned(self, owner):
        self.killed.append(owner)
        return []

    def adopt(self, name, line, user, parent=0):
        return Process(4711, name, line, user, Clock().now(), parent)

    def leave(self, process, exit_code=0):
        process.ended.set()


def toy_host(name="SRV1"):
    users = [
        User("admin", name, PASSWORD, "S-1-5-21-1-500", administrator=True, remote=True),
        User("helper", name, "pw", "S-1-5-21-1-1001", remote=True),
        User("guest", name, "pw", "S-1-5-21-1-1002"),
        User("former", name, "pw", "S-1-5-21-1-1003", remote=True, disabled=True),
        User("shut", name, "pw", "S-1-5-21-1-1004", remote=True, locked=True),
    ]
    return SimpleNamespace(
        name=name,
        windows="C:\\Windows",
        domain="WORKGROUP",
        users=users,
        profile=SimpleNamespace(version="10.0.20348"),
        language=SimpleNamespace(oem_codepage=850),
        files=SimpleNamespace(is_dir=lambda path: False),
        processes=ToyProcesses(),
        trace=Trace(),
        faults=Faults(),
        on_reboot=[],
        clock=Clock(),
        authentication=frozenset(),
    )


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A server context with a certificate of its own; clients do not check it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "srv1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA384())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + made.public_bytes(serialization.Encoding.PEM)
    path.write_bytes(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def an_address() -> str:
    return f"127.{random.randint(20, 250)}.{random.randint(1, 250)}.{random.randint(1, 250)}"


class Wire:
    """One host on the wire, and the ways to reach it."""

    password = PASSWORD

    def __init__(self, certificate, settings, factory=ToyRunspace, address=None):
        self.address, self.host = address or an_address(), toy_host()
        self.server = WireServer(
            {self.address: self.host},
            tls={self.address: certificate},
            trace=self.host.trace,
            faults=self.host.faults,
            runspace_factory=factory,
            app_data=lambda host: {},
            settings=settings,
        )
        self.thread = WireThread(self.server)

    def wsman(self, *, ssl=False, auth="ntlm", user="admin", password=None, timeout=20, **more):
        return WSMan(
            self.address,
            username=user,
            password=self.password if password is None else password,
            ssl=ssl,
            auth=auth,
            cert_validation=False,
            operation_timeout=timeout,
            no_proxy=True,
            **more,
        )

    @contextlib.contextmanager
    def pool(self, **options):
        wsman = self.wsman(**options)
        pool = RunspacePool(wsman)
        pool.open()
        try:
            yield pool
        finally:
            if pool.state == 2:
                pool.close()
            wsman.close()

    def run(self, pool, *commands):
        """One pipeline of several statements; each command is a name with arguments."""
        shell = PowerShell(pool)
        for name, *arguments in commands:
            shell.add_cmdlet(name)
            for each in arguments:
                shell.add_argument(each)
            shell.add_statement()
        shell.invoke()
        return shell

    @property
    def counted(self):
        """Operations and authentications of all connections so far."""
        sessions = self.server.sessions
        return sum(each.operations for each in sessions), sum(each.authentications for each in sessions)


@pytest.fixture(scope="session")
def start(certificate):
    """Starts hosts on the wire; they stop with the test session."""
    running = []

    def begin(settings=QUICK, factory=ToyRunspace):
        wire = Wire(certificate, settings, factory)
        wire.thread.start()
        running.append(wire)
        return wire

    yield begin
    for each in running:
        each.thread.stop()
    for thread in threading.enumerate():
        if thread.name.startswith("SRV1 "):  # a pipeline or program
            thread.join(3)
            assert not thread.is_alive()


@pytest.fixture
def host():
    """A host without a wire."""
    return toy_host()


@pytest.fixture(scope="session")
def shared(start):
    """One host for all tests that leave no trace on it."""
    return start()


@pytest.fixture
def wire(shared):
    shared.server.counters.clear()
    shared.host.faults.clear()
    yield shared
    assert shared.server.shells(shared.address) == 0


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
