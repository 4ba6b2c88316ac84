"""The door to pluggy and to importlib.metadata: which providers are installed, and loading the one asked for.

A provider is an entry point of the group `paygate` whose name is the provider's name. Looking for providers imports
none of them; loading imports one, after the allow-list was asked. What a provider does never goes through a hook.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
from attrs import field, frozen

from .capability import Capability, Profile
from .errors import BadSettings, UnknownProvider
from .provider import ProviderSpec

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from pluggy import HookimplMarker, PluginManager

    hookimpl = HookimplMarker("paygate")
    """What a provider module puts on its `paygate_providers`."""
else:
    def __getattr__(name: str) -> Any:
        # Only a provider's module asks for hookimpl; everybody else is spared the import of pluggy until `load`.
        if name != "hookimpl":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from pluggy import HookimplMarker

        marker = globals()["hookimpl"] = HookimplMarker(GROUP)
        return marker

__all__ = ["GROUP", "NARROWED_BY", "Found", "find_providers", "hookimpl", "is_allowed", "load", "printable"]

GROUP = "paygate"
"""The entry-point group, and pluggy's project name."""

NARROWED_BY = "PAYGATE_PLUGINS"
"""Environment variable "distribution:name,...": the plugins to import. It narrows the code's list, never widens."""


class Hooks:
    """What paygate calls in a provider's module."""

    def paygate_providers(self) -> Iterable[ProviderSpec]:
        """The providers that this module offers: no credentials, no I/O."""
        raise NotImplementedError


@frozen(kw_only=True)
class Found:
    """A provider that an installed distribution claims to offer; nothing of it was imported.

    `rivals` names whoever else claims the same name ("distribution version"); such a provider cannot be loaded.
    """

    name: str
    distribution: str
    version: str
    value: str
    rivals: tuple[str, ...] = ()
    entry_point: EntryPoint = field(repr=False, eq=False)

    @property
    def origin(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}"


def printable(text: str) -> str:
    """`text` as it may be shown: what would not print (controls, escapes, text direction) becomes an escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def find_providers() -> tuple[Found, ...]:
    """Every installed provider, by name, without importing any.

    A distribution that is visible twice on the path (installed, and in an editable checkout) counts once, as the copy
    that Python would import. A name that two distributions claim is listed twice, each with the other as a rival.
    """
    found = [f for distribution in _distributions() for f in _claims(distribution)]
    marked = [attrs.evolve(f, rivals=tuple(r.origin for r in found if r.name == f.name and r is not f)) for f in found]
    return tuple(sorted(marked, key=lambda f: (f.name, _normal(f.distribution))))


def _distributions() -> Iterator[Distribution]:
    """Each distribution that has a say in the group, once: the first of its name on the path."""
    from importlib import metadata

    names: dict[str, str] = {}
    for candidate in metadata.distributions():
        try:
            # "in" first: asking for a key that is not there warns from Python 3.12 on, and will raise.
            if GROUP in (candidate.read_text("entry_points.txt") or "") and "Name" in candidate.metadata:
                names.setdefault(_normal(candidate.metadata["Name"]), candidate.metadata["Name"])
        except (OSError, TypeError, ValueError, KeyError):
            # Half of a distribution, left by a broken install: it has no name that an allow-list could speak of.
            continue
    for normal, name in names.items():
        # Asked again by name, because an earlier copy without entry points is the one that Python would import.
        try:
            first = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if "Name" in first.metadata and _normal(first.metadata["Name"]) == normal:
            yield first


def _claims(distribution: Distribution) -> list[Found]:
    try:
        entry_points = distribution.entry_points.select(group=GROUP)
    except (TypeError, ValueError):
        # A file that cannot be read claims nothing; it must not hide the others.
        return []
    return [Found(name=printable(e.name), distribution=printable(distribution.metadata["Name"]),
                  version=printable(distribution.version or "?"), value=printable(e.value), entry_point=e)
            for e in entry_points]


def _normal(distribution: str) -> str:
    """A distribution's name as comparisons see it: `Paygate_Foo` is `paygate-foo`."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def is_allowed(found: Found, allow: Iterable[tuple[str, str]] | None = None) -> bool:
    """True where `found` may be imported: `allow` (None: everything installed) and PAYGATE_PLUGINS both let it.

    `allow` holds pairs of distribution and provider name. An empty PAYGATE_PLUGINS is one that is not set.

    Raises: BadSettings for a list that is not made of such pairs.
    """
    pair = (_normal(found.distribution), found.name)
    return all(limits is None or pair in limits for limits in (_pairs(allow), _narrowed()))


def _pairs(allow: Iterable[Any] | None) -> set[tuple[str, str]] | None:
    if allow is None:
        return None
    pairs = set()
    for pair in allow:
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise BadSettings("allow holds pairs such as (\"paygate-foo\", \"foo\"); nothing was imported")
        pairs.add((_normal(pair[0]), pair[1]))
    return pairs


def _narrowed() -> set[tuple[str, str]] | None:
    text = os.environ.get(NARROWED_BY, "").strip()
    if not text:
        return None
    pairs = set()
    for item in text.split(","):
        distribution, _, name = (part.strip() for part in item.partition(":"))
        if not distribution or not name:
            raise BadSettings(f"{NARROWED_BY} is a list such as paygate-foo:foo,paygate-bar:bar; nothing was imported")
        pairs.add((_normal(distribution), name))
    return pairs


def _near(name: str, names: Iterable[str]) -> list[str]:
    """The names that may have been meant: those that begin with it, or look like it."""
    known = list(dict.fromkeys(names))
    begin = [each for each in known if len(name) >= 3 and each.startswith(name)]
    return begin or get_close_matches(name, known, n=1)


_loaded: dict[tuple[str, str, str], ProviderSpec] = {}
_loading = RLock()


def load(name: str, *, allow: Iterable[tuple[str, str]] | None = None) -> ProviderSpec:
    """The spec of an installed provider; only the module that offers it is imported, once per process.

    `allow` is as in `is_allowed`, and is asked before anything is imported.

    Raises: UnknownProvider where `name` is not installed, is claimed twice, is not allowed or its module is broken.
    """
    installed = find_providers()
    claims = [found for found in installed if found.name == name]
    if not claims:
        names = ", ".join(dict.fromkeys(f.name for f in installed)) or "none"
        near = _near(name, [f.name for f in installed]) if isinstance(name, str) else []
        # No name of a distribution: nobody vouches for what a package index has under a guessed one.
        what = f"did you mean {' or '.join(near)}?" if near else \
            "install the distribution that the provider's own pages name"
        raise UnknownProvider(f"no provider {printable(str(name))} is installed (installed: {names}); {what}")
    if len(claims) > 1:
        raise UnknownProvider(f"provider {name} is claimed by {' and by '.join(c.origin for c in claims)}; nothing was "
                              f"imported; uninstall all but one")
    found = claims[0]
    if not is_allowed(found, allow):
        raise UnknownProvider(f"provider {name} of {found.origin} is not on the allow-list; nothing was imported; add "
                              f"({found.distribution!r}, {name!r}) to it if you trust that distribution "
                              f"({NARROWED_BY} can only narrow the list)")
    with _loading:
        key = (found.name, found.distribution, found.version)
        if key not in _loaded:
            _loaded[key] = _load(found)
        return _loaded[key]


def _load(found: Found) -> ProviderSpec:
    def broken(why: str) -> UnknownProvider:
        return UnknownProvider(f"provider {found.name} of {found.origin} {why}; no other provider is affected; repair "
                               f"or uninstall {found.distribution}")

    # SystemExit too: a module that ends the program is as broken as one that raises.
    try:
        module = found.entry_point.load()
    except (Exception, SystemExit) as error:
        raise broken(f"raised {type(error).__name__} while being imported") from error
    try:
        offered = _offered(_manager(), module)
    except (Exception, SystemExit) as error:
        raise broken(f"raised {type(error).__name__} in its hook") from error
    if offered is None:
        raise broken("has no hook: a function paygate_providers marked with @paygate.plugins.hookimpl")
    if not all(isinstance(spec, ProviderSpec) for spec in offered):
        raise broken("returned something other than ProviderSpecs from its hook")
    specs: list[ProviderSpec] = [spec for spec in offered if spec.name == found.name]
    if not specs:
        names = ", ".join(printable(str(spec.name)) for spec in offered) or "nothing"
        raise broken(f"is not what its hook offers ({names})")
    if len(specs) > 1:
        raise broken("is offered twice by its hook")
    if faults := "; ".join(_faults(specs[0])):
        raise broken(f"declares itself wrongly: {faults}")
    return specs[0]


def _manager() -> PluginManager:
    """A fresh one for each module, so that modules never meet."""
    from pluggy import HookspecMarker, PluginManager

    manager = PluginManager(GROUP)
    HookspecMarker(GROUP)(Hooks.paygate_providers)
    manager.add_hookspecs(Hooks)
    return manager


def _offered(manager: PluginManager, module: object) -> list[Any] | None:
    """What a module's hook returned; None where it has no hook; [None] stands for what is not iterable."""
    manager.register(module)
    hook = manager.hook.paygate_providers
    if not hook.get_hookimpls():
        return None
    # pluggy drops a None, which would look like an empty answer.
    answers = hook() or [None]
    return [spec for answer in answers for spec in (answer if isinstance(answer, Iterable) else [None])]


def _faults(spec: Any) -> Iterator[str]:
    """What is wrong with a ProviderSpec, as far as it shows without building the provider."""
    if not isinstance(spec.title, str) or not spec.title.strip():
        yield "title is empty"
    if not isinstance(spec.settings, type) or not attrs.has(spec.settings):
        yield "settings is not an attrs class"
    elif "mode" not in {f.name for f in attrs.fields(spec.settings)}:
        yield "settings has no field mode"
    if not callable(spec.build):
        yield "build is not callable"
    hosts = spec.hosts
    if not isinstance(hosts, tuple) or not hosts or not all(isinstance(host, str) and host for host in hosts):
        yield "hosts is not a tuple of at least one host"
    elif (host := _https_host(spec.base_url)) is None:
        yield "base_url is not an https address"
    elif host not in hosts:
        yield "base_url is not on one of its hosts"
    if not all(isinstance(capability, Capability) for capability in spec.capabilities):
        yield "capabilities holds something other than Capability"
    if not isinstance(spec.profile, Profile):
        yield "profile is not a Profile"
    if spec.emulator is not None and not re.fullmatch(r"[\w.]+:\w+", str(spec.emulator)):
        yield "emulator is not written module:Class"


def _https_host(url: object) -> str | None:
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        # A user name or a port that is no number makes it something other than the PG's plain address.
        plain = parts.scheme == "https" and "@" not in parts.netloc and parts.port in (None, 443)
    except ValueError:
        return None
    return parts.hostname if plain else None
