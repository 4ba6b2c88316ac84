"""Finding and loading providers: from distributions that pip really installed, and from ones written by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from textwrap import dedent

import pytest

import paygate
from paygate import plugins
from paygate.errors import BadSettings, UnknownProvider
from paygate.plugins import find_providers, is_allowed, load
from paygate.provider import ProviderSpec

CORE = str(Path(paygate.__file__).parents[1])
NUMBERS = count()

DECLARED = """
from attrs import evolve, frozen
from paygate.capability import Absence, CancelGuard, Capability, Profile, assumed
from paygate.money import Money
from paygate.plugins import hookimpl
from paygate.provider import Provider, ProviderSpec

@frozen
class Settings:
    mode: str = "test"

facts = dict(currencies=("KRW",), minimum=Money(100, "KRW"), order_id_pattern=".*", title_limit=10,
             refuses_reused_order_id=True, refuses_concurrent_order_id=False, absence=Absence.NOTHING,
             schedule_run_by="paygate", register_takes_money=False, cancel_guard=CancelGuard.COMPARE,
             hooks_never_sent=(), hook_signature="none", settle_s=60.0)

def spec(name, **changes):
    declared = ProviderSpec(
        name=name, title="Throw-away", settings=Settings, build=lambda settings: Provider(),
        base_url="https://api.example.test/v1", hosts=("api.example.test",), capabilities={Capability.PAY},
        profile=Profile(**{entry: assumed(value, "made up") for entry, value in facts.items()}))
    return evolve(declared, **changes)
"""

OFFERS = DECLARED + """
@hookimpl
def paygate_providers():
    return [{offered}]
"""


def offering(offered: str) -> str:
    """A module whose hook returns a list of what `offered` says."""
    return OFFERS.replace("{offered}", offered)


def leaves_a_mark(module: str) -> str:
    """A module that shows by a file beside it that it was imported."""
    return "from pathlib import Path\nPath(__file__).with_suffix('.imported').touch()\n" + module


@pytest.fixture(autouse=True)
def _no_list_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(plugins.NARROWED_BY, raising=False)


# ---- Distributions installed by pip, seen by a fresh process ----

INSTALLED = {
    "paygate-good": ("goodpay", offering("spec('goodpay')")),
    "paygate-broken": ("brokenpay", "raise RuntimeError('the key is s3cret')"),
    "paygate-first": ("twicepay", offering("spec('twicepay')")),
    "paygate-second": ("twicepay", offering("spec('twicepay')")),
    "paygate-stranger": ("strangepay", offering("spec('strangepay')")),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which pip has built and installed five distributions; each module leaves a mark if imported."""
    sources, target = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("site")
    for distribution, (name, module) in INSTALLED.items():
        package = distribution.replace("-", "_")
        (sources / distribution).mkdir()
        (sources / distribution / f"{package}.py").write_text(leaves_a_mark(module))
        (sources / distribution / "pyproject.toml").write_text(dedent(f"""
            [build-system]
            requires = ["hatchling"]
            build-backend = "hatchling.build"
            [project]
            name = "{distribution}"
            version = "1.2.3"
            [project.entry-points.paygate]
            {name} = "{package}"
            [tool.hatch.build.targets.wheel]
            only-include = ["{package}.py"]
            """))
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
         "--no-build-isolation", "--no-deps", "--target", target, *(sources / name for name in INSTALLED)],
        check=True, capture_output=True, text=True)
    return target


def fresh(site: Path, code: str, **environment: str) -> str:
    """What a new process prints that sees `site` and runs `code`."""
    for mark in site.glob("*.imported"):
        mark.unlink()
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{CORE}",
                          **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def refusal(site: Path, call: str, **environment: str) -> str:
    """The message with which `call` is refused, in a new process."""
    return fresh(site, dedent(f"""
        from paygate.errors import UnknownProvider
        from paygate.plugins import load
        try:
            {call}
        except UnknownProvider as error:
            print(error)
        """), **environment)


def imported(site: Path) -> set[str]:
    """The modules that the last `fresh` imported."""
    return {mark.stem for mark in site.glob("*.imported")}


def test_finding_lists_every_installed_provider_and_imports_none(site: Path) -> None:
    out = fresh(site, "import json; from paygate.plugins import find_providers\n"
                      "print(json.dumps([[f.name, f.distribution, f.version, f.value, f.rivals] "
                      "for f in find_providers()]))")
    ours = [row for row in json.loads(out) if row[1] in INSTALLED]
    assert ours == [
        ["brokenpay", "paygate-broken", "1.2.3", "paygate_broken", []],
        ["goodpay", "paygate-good", "1.2.3", "paygate_good", []],
        ["strangepay", "paygate-stranger", "1.2.3", "paygate_stranger", []],
        ["twicepay", "paygate-first", "1.2.3", "paygate_first", ["paygate-second 1.2.3"]],
        ["twicepay", "paygate-second", "1.2.3", "paygate_second", ["paygate-first 1.2.3"]],
    ]
    assert imported(site) == set()


def test_loading_imports_the_provider_asked_for_and_no_other(site: Path) -> None:
    assert fresh(site, "from paygate.plugins import load; print(load('goodpay').title)") == "Throw-away"
    assert imported(site) == {"paygate_good"}


def test_a_broken_plugin_is_named_with_its_version_and_the_exceptions_class_but_not_its_words(site: Path) -> None:
    message = refusal(site, "load('brokenpay')")
    assert "brokenpay of paygate-broken 1.2.3 raised RuntimeError" in message
    assert "s3cret" not in message


def test_a_broken_plugin_does_not_disturb_another(site: Path) -> None:
    out = fresh(site, dedent("""
        from paygate.errors import UnknownProvider
        from paygate.plugins import load
        try:
            load("brokenpay")
        except UnknownProvider:
            print(load("goodpay").title)
        """))
    assert out == "Throw-away"


def test_two_distributions_claiming_one_name_are_both_named_and_neither_is_imported(site: Path) -> None:
    message = refusal(site, "load('twicepay')")
    assert "paygate-first 1.2.3" in message
    assert "paygate-second 1.2.3" in message
    assert imported(site) == set()


def test_an_allow_list_does_not_choose_between_two_that_claim_one_name(site: Path) -> None:
    assert "paygate-second" in refusal(site, "load('twicepay', allow=[('paygate-first', 'twicepay')])")
    assert imported(site) == set()


def test_what_is_not_on_the_allow_list_is_not_imported(site: Path) -> None:
    message = refusal(site, "load('strangepay', allow=[('paygate-good', 'goodpay')])")
    assert "strangepay of paygate-stranger 1.2.3 is not on the allow-list" in message
    assert imported(site) == set()


def test_the_allow_list_names_the_distribution_not_only_the_provider(site: Path) -> None:
    assert "allow-list" in refusal(site, "load('strangepay', allow=[('paygate-good', 'strangepay')])")
    assert "allow-list" in refusal(site, "load('strangepay', allow=[('paygate-stranger', 'goodpay')])")
    assert imported(site) == set()


def test_the_environment_narrows_what_the_code_allows(site: Path) -> None:
    narrow = {plugins.NARROWED_BY: "paygate-good:goodpay"}
    assert "allow-list" in refusal(site, "load('strangepay')", **narrow)
    assert "allow-list" in refusal(site, "load('strangepay', allow=[('paygate-stranger', 'strangepay')])", **narrow)
    assert imported(site) == set()
    assert refusal(site, "print(load('goodpay').name)", **narrow) == "goodpay"


def test_the_environment_does_not_widen_what_the_code_allows(site: Path) -> None:
    wide = {plugins.NARROWED_BY: "paygate-stranger:strangepay,paygate-good:goodpay"}
    assert "allow-list" in refusal(site, "load('strangepay', allow=[('paygate-good', 'goodpay')])", **wide)
    assert "allow-list" in refusal(site, "load('strangepay', allow=[])", **wide)
    assert imported(site) == set()


def test_pluggy_is_imported_for_loading_only(site: Path) -> None:
    out = fresh(site, "import sys; from paygate.plugins import find_providers, load\n"
                      "find_providers(); before = 'pluggy' in sys.modules\n"
                      "load('goodpay'); print(before, 'pluggy' in sys.modules)")
    assert out == "False True"


# ---- Distributions written by hand, seen by this process ----

Plant = Callable[..., str]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Put a distribution on the path; returns the name of its provider, which no other test uses."""

    def put(module: str, *, distribution: str | None = None, version: str = "1.0", name: str | None = None,
            entry_points: str | None = None, where: str = "site") -> str:
        number = next(NUMBERS)
        name = name or f"pay{number}"
        distribution = distribution or f"paygate-dist{number}"
        directory = tmp_path / where
        info = directory / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(
            f"[paygate]\n{name} = made_by_hand_{number}\n" if entry_points is None else entry_points)
        (directory / f"made_by_hand_{number}.py").write_text(module.replace("NAME", repr(name)))
        if str(directory) not in sys.path:
            monkeypatch.syspath_prepend(directory)
        return name

    return put


def found(name: str) -> list[plugins.Found]:
    return [f for f in find_providers() if f.name == name]


def test_a_spec_is_loaded_once_per_process(plant: Plant) -> None:
    name = plant(offering("spec(NAME)"))
    assert load(name) is load(name)


def test_a_spec_loaded_before_is_still_refused_to_who_does_not_allow_it(plant: Plant) -> None:
    name = plant(offering("spec(NAME)"))
    load(name)
    with pytest.raises(UnknownProvider, match="not on the allow-list"):
        load(name, allow=[])


def test_an_unknown_name_lists_what_is_installed_and_how_to_install_more(plant: Plant) -> None:
    name = plant(offering("spec(NAME)"))
    with pytest.raises(UnknownProvider, match=rf"nosuchpay is installed \(installed: .*{name}.*own pages name"):
        load("nosuchpay")


def test_a_name_that_is_nearly_one_names_all_it_may_be_and_sends_nobody_to_install(plant: Plant) -> None:
    stem = f"near{next(NUMBERS)}pay"
    first, second = (plant(offering("spec(NAME)"), name=f"{stem}-{end}") for end in ("x", "unlike"))
    with pytest.raises(UnknownProvider) as refused:
        load(stem)
    assert str(refused.value).endswith((f"; did you mean {first} or {second}?", f"; did you mean {second} or {first}?"))
    with pytest.raises(UnknownProvider, match=rf"; did you mean {first}\?$"):
        load(f"{stem}-xx")


def test_an_unknown_name_cannot_write_lines_of_its_own_into_a_log() -> None:
    with pytest.raises(UnknownProvider) as refused:
        load("x\n\x1b[31mpaid")
    assert str(refused.value).isprintable()


def test_the_cause_of_a_failed_import_is_kept(plant: Plant) -> None:
    name = plant("import no_such_module_anywhere")
    with pytest.raises(UnknownProvider, match="raised ModuleNotFoundError while being imported") as refused:
        load(name)
    assert isinstance(refused.value.__cause__, ModuleNotFoundError)


def test_a_module_that_ends_the_program_is_broken_and_does_not_end_it(plant: Plant) -> None:
    name = plant("raise SystemExit(3)")
    with pytest.raises(UnknownProvider, match=r"raised SystemExit\b"):
        load(name)


@pytest.mark.parametrize(("module", "why"), [
    (DECLARED, "has no hook"),
    (offering("spec(NAME)").replace("@hookimpl", ""), "has no hook"),
    (DECLARED + "@hookimpl\ndef paygate_providers():\n    return None", "something other than ProviderSpecs"),
    (DECLARED + "@hookimpl\ndef paygate_providers():\n    return spec(NAME)", "something other than ProviderSpecs"),
    (offering("spec(NAME), 'spec'"), "something other than ProviderSpecs"),
    (offering(""), r"is not what its hook offers \(nothing\)"),
    (offering("spec('other')"), r"is not what its hook offers \(other\)"),
    (offering("spec(NAME), spec(NAME)"), "is offered twice"),
    (offering("1 / 0"), "raised ZeroDivisionError in its hook"),
    (DECLARED + "@hookimpl\ndef paygate_providers():\n    yield spec(NAME)\n    1 / 0", "raised ZeroDivisionError"),
    (DECLARED + "@hookimpl\ndef paygate_providers(secrets):\n    return []", "raised PluginValidationError"),
])
def test_a_module_that_offers_something_else_is_refused_with_the_reason(plant: Plant, module: str, why: str) -> None:
    name = plant(module, distribution=f"paygate-odd{next(NUMBERS)}")
    with pytest.raises(UnknownProvider, match=why) as refused:
        load(name)
    assert "of paygate-odd" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("changes", "why"), [
    ("title=' '", "title is empty"),
    ("settings=dict", "settings is not an attrs class"),
    ("settings=frozen(type('Without', (), {}))", "settings has no field mode"),
    ("build=None", "build is not callable"),
    ("base_url='http://api.example.test'", "base_url is not an https address"),
    ("base_url='https://user@api.example.test'", "base_url is not an https address"),
    ("base_url='https://api.example.test:8443'", "base_url is not an https address"),
    ("base_url='https://[api'", "base_url is not an https address"),
    ("base_url=None", "base_url is not an https address"),
    ("base_url='https://api.example.org'", "base_url is not on one of its hosts"),
    ("hosts=()", "hosts is not a tuple of at least one host"),
    ("hosts='api.example.test'", "hosts is not a tuple of at least one host"),
    ("capabilities={'pay'}", "capabilities holds something other than Capability"),
    ("profile={}", "profile is not a Profile"),
    ("emulator='os'", "emulator is not written module:Class"),
])
def test_a_wrong_declaration_is_refused_with_the_reason(plant: Plant, changes: str, why: str) -> None:
    name = plant(offering(f"spec(NAME, {changes})"))
    with pytest.raises(UnknownProvider, match=f"declares itself wrongly: {why}"):
        load(name)


def test_a_declaration_that_lacks_nothing_is_accepted_with_an_emulator(plant: Plant) -> None:
    name = plant(offering("spec(NAME, emulator='a.b_c:Emulator')"))
    assert isinstance(load(name), ProviderSpec)


def test_one_module_may_offer_several_providers(plant: Plant) -> None:
    name = plant(offering("spec('another'), spec(NAME)"))
    assert load(name).name == name


def test_a_distribution_visible_twice_counts_once_as_the_copy_python_would_import(plant: Plant) -> None:
    name = plant(offering("spec(NAME, title='installed')"), distribution="paygate-seen-twice", version="1.0", where="b")
    plant(offering("spec(NAME, title='editable')"), distribution="Paygate.Seen_Twice", version="1.1", name=name,
          where="a")
    assert [(f.version, f.rivals) for f in found(name)] == [("1.1", ())]
    assert load(name).title == "editable"


def test_a_later_copy_of_a_distribution_adds_no_provider_that_the_first_lacks(plant: Plant) -> None:
    name = plant(offering("spec(NAME)"), distribution="paygate-lost-one", version="1.0", where="b")
    plant("", distribution="paygate-lost-one", version="2.0", entry_points="", where="a")
    assert found(name) == []


def test_a_distribution_claiming_a_name_twice_is_refused(plant: Plant) -> None:
    plant("", distribution="paygate-both", entry_points="[paygate]\nbothpay = a\nbothpay = b\n")
    with pytest.raises(UnknownProvider, match=r"claimed by paygate-both 1\.0 and by paygate-both 1\.0"):
        load("bothpay")


@pytest.mark.parametrize("damage", [
    lambda info: (info / "METADATA").unlink(),
    lambda info: (info / "entry_points.txt").write_text("[paygate]\nnot a pair\n"),
    lambda info: (info / "entry_points.txt").write_bytes(b"[paygate]\n\xff = x\n"),
    lambda info: (info / "METADATA").write_text("Name: paygate-somebody-else\nVersion: 1.0\n"),
])
def test_a_damaged_distribution_hides_no_other(plant: Plant, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    name = plant(offering("spec(NAME)"))
    plant("", distribution="paygate-damaged")
    damage(tmp_path / "site" / "paygate_damaged-1.0.dist-info")
    assert load(name).name == name
    assert [f for f in find_providers() if f.distribution in ("paygate-damaged", "paygate-somebody-else")] == []


def test_distributions_whose_directories_bear_each_others_names_claim_nothing(plant: Plant, tmp_path: Path) -> None:
    for distribution, says in (("paygate-crossed", "paygate-other"), ("paygate-other", "paygate-crossed")):
        plant("", distribution=distribution)
        info = tmp_path / "site" / f"{distribution.replace('-', '_')}-1.0.dist-info"
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {says}\nVersion: 1.0\n")
    assert [f for f in find_providers() if f.distribution in ("paygate-crossed", "paygate-other")] == []


def test_distribution_names_on_the_allow_list_are_compared_as_names_not_as_text(
        plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    name = plant(offering("spec(NAME)"), distribution="Paygate.Spelled_oddly")
    assert load(name, allow=[("paygate-spelled-ODDLY", name)]).name == name
    monkeypatch.setenv(plugins.NARROWED_BY, f" x:y , PAYGATE_spelled-oddly : {name}")
    assert is_allowed(found(name)[0])
    monkeypatch.setenv(plugins.NARROWED_BY, f"paygate-spelled-oddly:{name.upper()}")
    assert not is_allowed(found(name)[0])


@pytest.mark.parametrize("text", ["paygate-good", "goodpay,paygate-good:goodpay", ":goodpay", "paygate-good:", ",",
                                  "paygate-good:goodpay,"])
def test_a_garbled_environment_list_is_refused_and_nothing_is_imported(
        plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    name = plant(leaves_a_mark(offering("spec(NAME)")))
    monkeypatch.setenv(plugins.NARROWED_BY, text)
    with pytest.raises(BadSettings, match=plugins.NARROWED_BY):
        load(name)
    assert list(tmp_path.glob("site/*.imported")) == []


def test_an_empty_environment_list_is_one_that_is_not_set(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    name = plant(offering("spec(NAME)"))
    monkeypatch.setenv(plugins.NARROWED_BY, " ")
    assert load(name).name == name
    with pytest.raises(UnknownProvider, match="allow-list"):
        load(name, allow=())


@pytest.mark.parametrize("allow", [["paygate-good"], ["xy"], [("paygate-good",)], [("a", "b", "c")], [("a", None)]])
def test_an_allow_list_of_something_other_than_pairs_is_refused(plant: Plant, allow: list[tuple[str, str]]) -> None:
    name = plant(offering("spec(NAME)"))
    with pytest.raises(BadSettings, match="allow holds pairs"):
        load(name, allow=allow)


def test_only_hookimpl_is_made_on_demand() -> None:
    with pytest.raises(AttributeError, match="no attribute 'hookspec'"):
        plugins.hookspec  # type: ignore[attr-defined]  # noqa: B018
