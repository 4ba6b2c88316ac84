"""`paygate sandbox` as a process of its own, and what may import the sandbox."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import paygate

PACKAGE = Path(paygate.__file__).parent
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which a distribution that offers FakePG, and one without an emulator, are installed."""
    for name, declared in (("fakepg", "FAKEPG"), ("bare", "evolve(FAKEPG, name='bare', emulator=None)")):
        (tmp_path / f"shop_{name}.py").write_text(
            "from attrs import evolve\nfrom paygate.plugins import hookimpl\n"
            "from paygate.testing.fakepg import FAKEPG\n"
            f"@hookimpl\ndef paygate_providers():\n    print('noise')\n    return [{declared}]\n")
        info = tmp_path / f"shop_{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: shop-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[paygate]\n{name} = shop_{name}\n")
    path = os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])
    # Other providers may be installed beside these; they are not what is tested.
    return {**os.environ, "PYTHONPATH": path, "PAYGATE_PLUGINS": "shop-fakepg:fakepg,shop-bare:bare"}


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **changes: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-m", "paygate.cli", "sandbox", *arguments], text=True,
                                   env={**environment, **changes}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


def _said(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def _text(process: subprocess.Popen[str]) -> str:
    """What it prints for a person."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Stop"):
        lines.append(process.stdout.readline())
        assert lines[-1], "".join(lines)
    return "".join(lines)


@pytest.mark.parametrize("number", SIGNALS)
def test_it_says_where_everything_is_serves_and_ends_well_when_told(
        start: Callable[..., subprocess.Popen[str]], number: int) -> None:
    process = start("fakepg", "--json")
    said = _said(process)

    assert said["banner"] == "sandbox: no real money"
    assert said["gateways"]["fakepg"]["settings"]["mode"] == "test"
    assert httpx.get(said["gateways"]["fakepg"]["url"] + "/x", trust_env=False).status_code < 500
    assert httpx.get(said["control_url"], trust_env=False).status_code == 200

    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


def test_without_names_it_serves_what_has_an_emulator(start: Callable[..., subprocess.Popen[str]]) -> None:
    assert list(_said(start("--json"))["gateways"]) == ["fakepg"]


def test_its_text_shows_the_banner_and_how_to_connect(start: Callable[..., subprocess.Popen[str]]) -> None:
    text = _text(start())
    lines = text.splitlines(keepends=True)

    assert lines[0] == "sandbox: no real money\n"
    assert lines[2].startswith("control room  http://127.0.0.1:")
    assert "connect('fakepg', {\n    'api_key': " in text
    assert lines[2].index("http://127.0.0.1:") == lines[3].index("http://127.0.0.1:")


def test_the_connect_call_it_shows_works(start: Callable[..., subprocess.Popen[str]], environment: dict[str, str],
                                         tmp_path: Path) -> None:
    process = start()
    text = _text(process)
    call = text[text.index("connect("):text.index("export ")].strip()
    code = f"from paygate import connect\ngate = {call}\nprint(gate.is_test)\n"

    ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True,
                         check=False)
    assert "True" in ran.stdout, ran.stderr


def test_the_environment_it_shows_works(start: Callable[..., subprocess.Popen[str]], environment: dict[str, str],
                                        tmp_path: Path) -> None:
    text = _text(start("fakepg", "--port", "fakepg=0"))
    shown = [line for line in text.splitlines() if line.startswith("export ")]
    code = "import os, paygate; print(paygate.connect(**paygate.from_environment(os.environ)))"

    ran = subprocess.run(["sh", "-c", "\n".join([*shown, '"$0" -c "$1"']), sys.executable, code], env=environment,
                         cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert "<Gateway fakepg (test)>" in ran.stdout, ran.stderr
    assert (tmp_path / "sandbox.db").exists()


def test_ports_are_the_ones_asked_for(start: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]

    said = _said(start("fakepg", "--json", "--port", f"fakepg={ports[0]}", "--control-port", str(ports[1])))

    assert said["gateways"]["fakepg"]["url"] == f"http://127.0.0.1:{ports[0]}"
    assert said["control_url"] == f"http://127.0.0.1:{ports[1]}"


@pytest.mark.parametrize(("arguments", "why"), [
    (["stranger"], "no provider stranger"),
    (["bare"], "ships no emulator"),
    (["fakepg", "fakepg"], "twice"),
    (["fakepg", "--host", "0.0.0.0"], "loopback only"),
    (["fakepg", "--port", "fakepg=x"], "NAME=PORT"),
    (["fakepg", "--port", "8080"], "NAME=PORT"),
    (["fakepg", "--port", "fakepg=65536"], "NAME=PORT"),
    (["fakepg", "--port", "other=1"], "not in this sandbox"),
    (["fakepg", "--control-port", "65536"], "65536"),
])
def test_a_wrong_command_line_is_told_why_with_exit_2(
        start: Callable[..., subprocess.Popen[str]], arguments: list[str], why: str) -> None:
    process = start(*arguments)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 2
    assert why in err
    assert "Traceback" not in err
    assert out == ""


def test_a_taken_port_is_told_with_exit_2(start: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("fakepg", "--control-port", str(taken.getsockname()[1]))
        _, err = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "the control API cannot listen" in err
    assert "--control-port" in err


def test_a_gateways_taken_port_is_told_with_its_name_and_option(start: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("fakepg", "--port", f"fakepg={(port := taken.getsockname()[1])}")
        _, err = process.communicate(timeout=30)

    assert process.returncode == 2
    assert f"fakepg cannot listen on 127.0.0.1, port {port}: " in err
    assert "--port fakepg=" in err


def test_an_environment_set_up_for_live_money_is_refused_with_exit_2(
        start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("fakepg", PAYGATE_SETTINGS='{"mode": "live", "api_key": "CANARY"}')
    _, err = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "live" in err
    assert "CANARY" not in err


@pytest.mark.parametrize("names", [["fakepg"], []])
def test_where_no_installed_provider_has_an_emulator_fakepg_is_served_and_can_be_connected_to(
        start: Callable[..., subprocess.Popen[str]], environment: dict[str, str], tmp_path: Path,
        names: list[str]) -> None:
    process = start(*names, PAYGATE_PLUGINS="shop-bare:bare")
    text = _text(process)
    call = text[text.index("connect("):text.index("Stop")].strip()
    code = ("from paygate import connect\nfrom paygate.testing.fakepg import FAKEPG\n"
            f"gate = {call}\nprint(gate.is_test)\n")

    assert call.startswith("connect(FAKEPG, ")
    ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True,
                         check=False)
    assert "True" in ran.stdout, ran.stderr


# The path that moves real money

def test_importing_paygate_does_not_import_the_sandbox() -> None:
    code = "import paygate, sys; sys.exit(any(m.startswith('paygate.sandbox') or m == 'h11' for m in sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
                          check=False).returncode == 0


def test_only_the_command_line_and_the_test_tools_import_the_sandbox() -> None:
    importers = {file.relative_to(PACKAGE).parts[0] for file in PACKAGE.rglob("*.py")
                 if any("sandbox" in name.split(".") for name in _imported(file))}

    assert importers == {"cli", "sandbox"} | (importers & {"testing"})


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


# The pytest plugin

def test_a_merchants_test_gets_an_emulator_a_transport_and_the_clock(
        environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text("""
import httpx, pytest
from paygate.errors import PaygateError

def test_shop(paygate_clock, paygate_emulator, paygate_transport):
    emulator = paygate_emulator("fakepg")
    assert emulator is paygate_emulator("fakepg")
    assert emulator.clock is paygate_clock
    with httpx.Client(transport=paygate_transport("fakepg"), base_url="http://pg.test") as client:
        client.get("/x")
    assert len(emulator.calls) == 1
    assert paygate_transport(emulator).emulator is emulator

def test_a_gateway_is_connected_to_its_emulator(paygate_gateway, paygate_emulator):
    from paygate import BillingKey, Charge, Money
    paygate_emulator("fakepg").issue_key("k")
    charge = Charge(order_id="o", billing_key=BillingKey("fakepg", "k"), money=Money(500, "KRW"), title="t")
    with paygate_gateway("fakepg") as gate:
        gate.charge(charge)
    assert paygate_emulator("fakepg").journal.taken("o") == 500

def test_another_has_its_own(paygate_emulator):
    assert paygate_emulator("fakepg").calls == []

def test_a_provider_that_is_not_installed(paygate_emulator):
    with pytest.raises(PaygateError):
        paygate_emulator("stranger")
""")

    ran = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path),
                          str(tmp_path)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "4 passed" in ran.stdout, ran.stdout


def test_the_test_tools_are_loaded_when_they_are_used() -> None:
    code = ("import sys, paygate.testing.pytest_plugin as p\n"
            "assert 'paygate.testing.emulator' not in sys.modules and 'httpx' not in sys.modules\n"
            "from paygate.testing import Emulator, EmulatorTransport, Fault, FaultKind, Journal, VirtualClock\n"
            "import paygate.testing\n"
            "try: paygate.testing.Other\n"
            "except AttributeError: sys.exit(0)\n"
            "sys.exit(1)")

    assert subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
                          check=False).returncode == 0
