"""`paygate providers`: tables, JSON, exit codes, what it says of a plugin that does not load; and the entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner, Result

import paygate
from paygate import KeyVault, MemoryLedger, connect, new_vault_key, plugins
from paygate.capability import Capability
from paygate.cli.group import group
from paygate.cli.main import COMMANDS
from paygate.cli.providers import WITH_VAULT, capability_table, cell
from paygate.errors import Unsupported
from paygate.testing.fakepg import FAKEPG, FakePG

CORE = str(Path(paygate.__file__).parents[1])

OFFERS = """
from attrs import evolve, frozen
from paygate.capability import Absence, CancelGuard, Capability, Profile, assumed, documented, observed
from paygate.money import Money
from paygate.plugins import hookimpl
from paygate.provider import Provider, ProviderSpec

@frozen
class Settings:
    mode: str = "test"

facts = dict(currencies=("KRW", "USD"), order_id_pattern=".*", title_limit=10,
             refuses_concurrent_order_id=False, absence=Absence.NOTHING,
             schedule_run_by="paygate", register_takes_money=False, cancel_guard=CancelGuard.COMPARE,
             hooks_never_sent=(), hook_signature="none", settle_s=60.0)
profile = Profile(minimum=documented(Money(1000, "KRW"), "their handbook, p. 7"),
                  refuses_reused_order_id=observed(True, "a recorded answer"),
                  **{entry: assumed(value, "made up") for entry, value in facts.items()})

print("a plugin that talks while it is imported")

@hookimpl
def paygate_providers():
    return [ProviderSpec(
        name=NAME, title="Throw-away 간편결제 [red]", settings=Settings, build=lambda settings: Provider(),
        base_url="https://api.example.test", hosts=("api.example.test",),
        capabilities={Capability.PAY, Capability.CANCEL}, profile=profile)]
"""

Site = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Run `paygate` where only these are installed: runpay ok, runbroken broken, runtwice claimed by two."""
    for distribution, version, name, module in (
            ("runs-well", "1.2.3", "runpay", OFFERS.replace("NAME", "'runpay'")),
            ("runs-not", "0.1", "runbroken", "raise ValueError('token \\x1b[31m')"),
            ("runs-one", "1.0", "runtwice", OFFERS.replace("NAME", "'runtwice'")),
            ("runs-two", "2.0", "runtwice", OFFERS.replace("NAME", "'runtwice'"))):
        install(tmp_path, distribution, version, name, module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(plugins.NARROWED_BY, raising=False)
    return lambda *arguments: CliRunner().invoke(group, arguments)


def in_a_new_process(site: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `paygate` where nothing was imported before."""
    return subprocess.run([sys.executable, "-m", "paygate.cli", *arguments], env=environment(site, **more), check=True,
                          capture_output=True, text=True, encoding="utf-8")


def install(site: Path, distribution: str, version: str, name: str, module: str) -> None:
    file = distribution.replace("-", "_")
    info = site / f"{file}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[paygate]\n{name} = {file}\n")
    (site / f"{file}.py").write_text(module, encoding="utf-8")


def line(result: Result, start: str) -> str:
    """The one line of the output that begins with this word, its columns one space apart."""
    [found] = [found for found in result.stdout.splitlines() if found.split(" ")[0] == start]
    return " ".join(found.split())


def test_the_list_shows_name_title_distribution_version_and_status(run: Site) -> None:
    result = run("providers")
    assert result.exit_code == 0
    assert line(result, "name") == "name title origin version status"
    assert line(result, "runpay") == "runpay Throw-away 간편결제 [red] runs-well 1.2.3 ok"


def test_a_broken_plugin_is_listed_with_the_reason_and_does_not_stop_the_list(run: Site) -> None:
    assert line(run("providers"), "runbroken") == (
        "runbroken – runs-not 0.1 broken: provider runbroken of runs-not 0.1 raised ValueError while being imported")


def test_a_name_claimed_by_two_distributions_is_listed_twice(run: Site) -> None:
    rows = [" ".join(row.split()) for row in run("providers").stdout.splitlines() if row.startswith("runtwice")]
    assert rows == ["runtwice – runs-one 1.0 duplicate: also claimed by runs-two 2.0",
                    "runtwice – runs-two 2.0 duplicate: also claimed by runs-one 1.0"]


def test_a_plugin_that_the_environment_excludes_is_shown_as_blocked_and_not_imported(run: Site, tmp_path: Path) -> None:
    done = in_a_new_process(tmp_path, "providers", **{plugins.NARROWED_BY: "runs-not:runbroken"})
    row = next(row for row in done.stdout.splitlines() if row.startswith("runpay"))
    assert row.endswith("blocked: not in PAYGATE_PLUGINS")
    assert "a plugin that talks" not in done.stdout + done.stderr


def test_the_list_ends_with_what_each_provider_can_do(run: Site) -> None:
    result = run("providers")
    header = line(result, "capability").split()
    assert "runbroken" not in header
    column = header.index("runpay")
    cells = {capability: line(result, capability).replace(WITH_VAULT, "vault").split()[column]
             for capability in Capability}
    assert {capability for capability, cell in cells.items() if cell == "yes"} == {Capability.PAY, Capability.CANCEL}
    assert set(cells.values()) == {"yes", "–"}


def test_what_paygate_does_in_the_pgs_place_is_neither_yes_nor_no(run: Site) -> None:
    charges_keys = evolve(plugins.load("runpay"), capabilities={Capability.REGISTER, Capability.CHARGE})
    charges = evolve(plugins.load("runpay"), capabilities={Capability.CHARGE})
    lines = capability_table([charges_keys, charges]).splitlines()
    assert "| schedule | paygate (vault) | paygate (vault) |" in lines
    assert "| subscribe | paygate (vault) | – |" in lines
    assert "| renew | – | – |" in lines


def test_a_table_says_of_each_verb_what_the_gateway_says_once_it_has_a_vault() -> None:
    pg = FakePG()
    with connect(FAKEPG, pg.settings(), ledger=MemoryLedger(), vault=KeyVault(new_vault_key())) as has, \
            connect(FAKEPG, pg.settings(), ledger=MemoryLedger()) as lacks:
        for capability in Capability:
            assert has.supports(capability) == (cell(FAKEPG, capability) != "–")
            assert lacks.supports(capability) == (cell(FAKEPG, capability) == "yes")
        with pytest.raises(Unsupported, match=r"leaves subscribe to paygate, .* connect\(\.\.\., vault=\.\.\.\)"):
            lacks.require("subscribe")


def test_away_from_a_terminal_the_output_has_no_colour_no_frame_and_one_line_for_each_row(run: Site) -> None:
    result = run("providers")
    assert not set("\x1b━─│") & set(result.stdout)
    assert all(row == row.rstrip() for row in result.stdout.splitlines())
    assert "raised ValueError while being imported" in line(result, "runbroken")


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminal")
def test_on_a_terminal_the_table_is_drawn(run: Site, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen([sys.executable, "-m", "paygate.cli", "providers"], stdout=theirs, stderr=subprocess.DEVNULL,
                          env=environment(tmp_path, TERM="xterm", COLUMNS="120")) as running:
        os.close(theirs)
        assert "─" in everything_on(ours).decode()
    assert running.returncode == 0


def everything_on(screen: int) -> bytes:
    """All that is written to a terminal until its last writer leaves it."""
    chunks = []
    with open(screen, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(65536):
                chunks.append(chunk)
        except OSError:
            # How Linux says that nobody writes any more.
            pass
    return b"".join(chunks)


def test_the_list_as_json(run: Site) -> None:
    result = run("providers", "--json")
    assert result.exit_code == 0
    listed = json.loads(result.stdout)
    assert listed["capabilities"] == [c.value for c in Capability]
    ours = {(p["name"], p["distribution"]): p for p in listed["providers"] if p["distribution"].startswith("runs-")}
    assert ours["runpay", "runs-well"] == {
        "name": "runpay", "title": "Throw-away 간편결제 [red]", "distribution": "runs-well", "version": "1.2.3",
        "entry_point": "runs_well", "status": "ok", "why": None, "capabilities": ["pay", "cancel"],
        "with_vault": []}
    broken = ours["runbroken", "runs-not"]
    assert (broken["status"], broken["title"], broken["capabilities"]) == ("broken", None, None)
    assert "raised ValueError" in broken["why"]
    assert ours["runtwice", "runs-one"]["status"] == "duplicate"


def test_what_a_plugin_prints_while_imported_is_kept_out_of_the_output(run: Site, tmp_path: Path) -> None:
    done = in_a_new_process(tmp_path, "providers", "--json")
    assert json.loads(done.stdout)["providers"]
    assert done.stderr == "a plugin that talks while it is imported\n"


def test_explain_prints_each_entry_of_the_profile_with_its_certainty_and_source(run: Site) -> None:
    result = run("providers", "--explain", "runpay")
    assert result.exit_code == 0
    assert result.stdout.startswith("runpay: Throw-away 간편결제 [red]\ncan: pay, cancel\n")
    _, *blocks = result.stdout.split("\n\n")
    assert [block.partition(":")[0] for block in blocks] == [
        name for name, _, _ in plugins.load("runpay").profile.describe()]
    assert "minimum: 1,000 KRW\n    smallest amount it takes\n    documented: their handbook, p. 7" in blocks
    assert line(result, "refuses_reused_order_id:").endswith(": yes")
    assert line(result, "register_takes_money:").endswith(": no")
    assert line(result, "currencies:") == "currencies: KRW; USD"
    assert line(result, "hooks_never_sent:") == "hooks_never_sent: none"
    assert "    observed: a recorded answer" in result.stdout.splitlines()


@pytest.mark.parametrize("name", ["portone-naverpay", "steppay-managed", "steppay-unmanaged"])
def test_an_explanation_is_read_without_scrolling_sideways(name: str) -> None:
    if name not in {found.name for found in plugins.find_providers()}:
        pytest.skip(f"{name} is not installed here")
    told = CliRunner().invoke(group, ["providers", "--explain", name]).output
    assert max(map(len, told.splitlines())) <= 200


def test_explain_as_json(run: Site) -> None:
    result = run("providers", "--explain", "runpay", "--json")
    told = json.loads(result.stdout)
    assert (told["name"], told["capabilities"]) == ("runpay", ["pay", "cancel"])
    entries = {entry["entry"]: entry for entry in told["profile"]}
    assert entries["minimum"] == {
        "entry": "minimum", "meaning": "smallest amount it takes", "value": {"amount": 1000, "currency": "KRW"},
        "certainty": "documented", "source": "their handbook, p. 7"}
    assert entries["currencies"]["value"] == ["KRW", "USD"]


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize(("name", "why"), [("runnosuch", "no provider runnosuch is installed"),
                                           ("runbroken", "raised ValueError"), ("runtwice", "claimed by runs-one")])
def test_explaining_what_does_not_load_says_why_in_one_line_and_exits_2(
        run: Site, name: str, why: str, form: list[str]) -> None:
    result = run("providers", "--explain", name, *form)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert why in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_environment_list_that_cannot_be_read_is_said_and_exits_2(
        run: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugins.NARROWED_BY, "goodpay")
    result = run("providers")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("paygate: PAYGATE_PLUGINS is a list")


def test_the_markdown_table_has_a_row_for_each_capability_and_a_column_for_each_provider(run: Site) -> None:
    lines = capability_table([plugins.load("runpay"), plugins.load("runpay")]).splitlines()
    assert lines[:3] == ["| capability | runpay | runpay |", "| --- | --- | --- |", "| pay | yes | yes |"]
    assert "| charge | – | – |" in lines
    assert [row.split(" | ")[0][2:] for row in lines[2:]] == [c.value for c in Capability]


# ---- The entry point ----


def environment(site: Path | str = "", **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{CORE}", "PYTHONIOENCODING": "utf-8", **more}


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False,
                          encoding="utf-8")


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_click_or_rich_one_line_says_which_extra_to_install(missing: str) -> None:
    done = python(f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['paygate', 'providers']\n"
                  "from paygate.cli import main; main()")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"{missing}: pip install 'paygate-core[cli]'" in done.stderr


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    done = python("import sys, paygate.cli\nprint({'click', 'rich', 'pluggy', 'httpx'} & set(sys.modules))")
    assert done.stdout.strip() == "set()"


def test_help_names_every_command_and_imports_none() -> None:
    done = python("import sys\nfrom paygate.cli import main\ntry:\n    main(['--help'])\nfinally:\n"
                  "    print({m.partition(':')[0] for m, _ in sys.modules['paygate.cli.main'].COMMANDS.values()}"
                  " & set(sys.modules))")
    assert done.returncode == 0
    assert done.stdout.endswith("set()\n")
    assert all(name in done.stdout for name in COMMANDS)


def test_a_command_that_does_not_exist_exits_2() -> None:
    result = CliRunner().invoke(group, ["nosuchcommand"])
    assert result.exit_code == 2
    assert "No such command" in result.stderr


def test_every_command_of_the_table_can_be_imported() -> None:
    for name in COMMANDS:
        assert CliRunner().invoke(group, [name, "--help"]).exit_code == 0


def test_a_command_whose_own_extra_is_missing_says_which_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "extra", ("no_such_package_anywhere:command", "Needs more."))
    result = CliRunner().invoke(group, ["extra"])
    assert result.exit_code == 2
    assert "needs no_such_package_anywhere, which is not installed" in result.stderr
