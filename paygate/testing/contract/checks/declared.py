"""What a provider declares before anything is sent: names, addresses, capabilities and profile fit together."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import attrs

from ....capability import Absence, CancelGuard, Capability, Certainty, Fact
from ....codec import settings_from
from ....errors import BadSettings, Unsupported
from ....money import EXPONENT, Money
from ....provider import Provider
from ....secret import Secret
from ..bench import Bench
from ..registry import SYNC, check
from ..told import expect

C = Capability
_NEEDS = {
    C.CANCEL_PARTLY: (C.CANCEL,), C.SCHEDULE: (C.FIND_SCHEDULE,), C.UNSCHEDULE: (C.FIND_SCHEDULE, C.SCHEDULE),
    C.FIND_SCHEDULE: (C.SCHEDULE,), C.SCHEDULES: (C.SCHEDULE,), C.UNSUBSCRIBE: (C.SUBSCRIBE,), C.PAUSE: (C.SUBSCRIBE,),
    C.MOVE_NEXT: (C.SUBSCRIBE,), C.CHANGE_INTERVAL: (C.SUBSCRIBE,), C.CHANGE_METHOD: (C.SUBSCRIBE,),
    C.RENEW: (C.SUBSCRIBE,),
}
"""What a claim is worth nothing without."""
_LOOKS = (C.FIND, C.LOOKUP)
METHODS: dict[Capability, tuple[str, ...]] = {
    C.PAY: ("pay", "read_return"), C.REGISTER: ("register", "read_return"), C.CHARGE: ("charge",),
    C.SCHEDULE: ("schedule",), C.UNSCHEDULE: ("unschedule",), C.FIND_SCHEDULE: ("find_schedule",),
    C.SCHEDULES: ("schedules",), C.CANCEL: ("cancel",), C.CANCEL_PARTLY: ("cancel",), C.FIND: ("find",),
    C.LOOKUP: ("lookup",), C.LISTING: ("listing",), C.LOOKUP_KEY: ("lookup_key",), C.KEYS: ("keys",),
    C.DELETE_KEY: ("delete_key",), C.CAPTURE: ("capture", "read_return"),
    C.RECEIVE: ("read_webhook",), C.SUBSCRIBE: ("subscribe", "subscription", "read_return"),
    C.UNSUBSCRIBE: ("unsubscribe",), C.PAUSE: ("pause", "resume"), C.MOVE_NEXT: ("move_next",),
    C.CHANGE_INTERVAL: ("change_interval",), C.CHANGE_METHOD: ("change_method",), C.RENEW: ("renew",),
}
"""What a provider implements for each capability."""


@check(faces=SYNC)
def the_emulator_has_the_providers_name_and_its_settings_are_for_testing(bench: Bench) -> None:
    """A report about one provider must not be made with another's PG, nor with live credentials."""
    expect(bench.pg.name == bench.subject.name, f"the emulator is {bench.pg.name}, the provider {bench.subject.name}")
    expect(bench.gate.is_test, "the emulator's settings are not in mode test")


@check(faces=SYNC)
def every_claimed_capability_has_its_methods(bench: Bench) -> None:
    """A capability is claimed by implementing it, not by listing it."""
    for capability in sorted(bench.subject.spec.capabilities):
        for method in METHODS.get(capability, ()):
            expect(getattr(type(bench.provider), method, None) is not getattr(Provider, method),
                   f"{capability.value} is claimed, and {method} is not implemented")


@check(faces=SYNC)
def no_claim_stands_without_the_claims_it_needs(bench: Bench) -> None:
    """A dated charge that cannot be looked up, or a refund of what cannot be read, could never be settled."""
    claims = bench.subject.spec.capabilities
    for capability, needs in _NEEDS.items():
        lacking = [n.value for n in needs if capability in claims and n not in claims]
        expect(not lacking, f"{capability.value} is claimed without {', '.join(lacking)}")
    for capability in (C.CANCEL, C.PAY, C.CHARGE, C.RECEIVE, C.REGISTER):
        expect(capability not in claims or claims & set(_LOOKS),
               f"{capability.value} is claimed, and nothing can be looked up: neither find nor lookup is")


@check(faces=SYNC)
def every_profile_entry_says_how_it_is_known(bench: Bench) -> None:
    """A fact without certainty and source is an opinion."""
    for name, _, fact in bench.subject.spec.profile.describe():
        expect(isinstance(fact, Fact) and isinstance(fact.certainty, Certainty), f"{name} has no certainty")
        expect(isinstance(fact.source, str) and fact.source.strip(), f"{name} has no source")


@check(faces=SYNC)
def the_profiles_entries_have_sensible_values(bench: Bench) -> None:
    """The core reads them; a wrong kind of value would fail where money is already on its way."""
    profile = bench.subject.spec.profile
    currencies, least = profile.currencies.value, profile.minimum.value
    expect(isinstance(currencies, tuple) and currencies and all(c in EXPONENT for c in currencies),
           f"currencies is {currencies!r}, not a tuple of ISO 4217 codes")
    most = profile.maximum.value
    expect(least is None or (isinstance(least, Money) and least.currency in currencies), f"minimum is {least!r}")
    expect(most is None or (isinstance(most, Money) and most.currency in currencies), f"maximum is {most!r}")
    try:
        re.compile(profile.order_id_pattern.value)
    except (re.error, TypeError):
        expect(False, "order_id_pattern is no regular expression")
    limit = profile.title_limit.value
    expect(type(limit) is int and 1 <= limit <= 2000, f"title_limit is {limit!r}")
    expect(isinstance(profile.absence.value, Absence), "absence is no Absence")
    expect(isinstance(profile.cancel_guard.value, CancelGuard), "cancel_guard is no CancelGuard")
    expect(profile.schedule_run_by.value in ("pg", "paygate"), f"schedule_run_by is {profile.schedule_run_by.value!r}")
    for name in ("refuses_reused_order_id", "refuses_concurrent_order_id", "register_takes_money"):
        expect(type(getattr(profile, name).value) is bool, f"{name} is not True or False")
    silent = profile.hooks_never_sent.value
    expect(isinstance(silent, tuple) and all(isinstance(word, str) and word.strip() for word in silent),
           "hooks_never_sent is no tuple of texts")
    expect(isinstance(profile.hook_signature.value, str) and profile.hook_signature.value.strip(),
           "hook_signature is empty")


@check(faces=SYNC)
def the_settle_window_outlasts_a_slow_pg(bench: Bench) -> None:
    """Absence is believed after this window: too short, and a charge that is still under way is sent again."""
    fact = bench.subject.spec.profile.settle_s
    expect(isinstance(fact.value, (int, float)) and not isinstance(fact.value, bool) and 0 < fact.value <= 86_400,
           f"settle_s is {fact.value!r}")
    expect(fact.value >= 60 or fact.certainty is Certainty.DOCUMENTED,
           f"settle_s is {fact.value} s: less than a minute has to be documented by the PG")


@check(faces=SYNC)
def what_the_profile_says_fits_what_is_claimed(bench: Bench) -> None:
    """One declaration feeds the core's decisions: two halves that contradict each other decide wrongly."""
    profile, claims = bench.subject.spec.profile, bench.subject.spec.capabilities
    if profile.absence.value is not Absence.NOTHING:
        expect(claims & {C.FIND, C.FIND_SCHEDULE},
               "'not found' is said to prove absence, and there is nothing to find an order by")
    if profile.schedule_run_by.value == "paygate":
        expect(C.SCHEDULE not in claims, "schedule is claimed, and the profile says that paygate runs it")
    if profile.refuses_concurrent_order_id.value:
        expect(profile.refuses_reused_order_id.value,
               "a PG that refuses an order id twice at once, and not twice in a row")


@check(faces=SYNC)
def the_pgs_address_is_https_on_one_of_its_own_hosts(bench: Bench) -> None:
    """Credentials go there: a host of somebody else's, a wildcard or a plain http address gives them away."""
    spec = bench.subject.spec
    parts = urlsplit(spec.base_url)
    expect(parts.scheme == "https" and "@" not in parts.netloc, "base_url is not https")
    expect(parts.hostname in spec.hosts, "base_url is not on one of the spec's hosts")
    for host in spec.hosts:
        expect(re.fullmatch(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]", host),
               f"{host!r} is not the plain name of a host")
        expect(host != "localhost" and not host.endswith((".localhost", ".local", ".internal")),
               f"{host!r} is no host of a PG")


@check(faces=SYNC)
def building_the_provider_sends_nothing(bench: Bench) -> None:
    """A gateway is made at start-up, also where the PG is down."""
    bench.silent(0, "the gateway was only made")


@check(faces=SYNC)
def a_setting_that_is_missing_or_wrong_is_found_at_construction_and_not_repeated(bench: Bench) -> None:
    """Not at the first charge; and what was pasted into the wrong field may be a secret."""
    kind, spec = bench.subject.spec.settings, bench.subject.spec
    given = bench.subject.settings(bench.pg)
    for field in attrs.fields(kind):
        if field.default is attrs.NOTHING:
            _refused(kind, {k: v for k, v in given.items() if k != field.name}, spec.name, field.name)
        if field.name in given and isinstance(given[field.name], str):
            _refused(kind, {**given, field.name: {"Kanari-7781": 1}}, spec.name, field.name)
    _refused(kind, {**given, "mode": "Kanari-7781"}, spec.name, "mode")
    _refused(kind, {**given, "no_such_setting_7": "Kanari-7781"}, spec.name, "no_such_setting_7")


def _refused(kind: type[Any], settings: dict[str, Any], name: str, field: str) -> None:
    try:
        settings_from(kind, settings, name)
    except BadSettings as error:
        expect("Kanari-7781" not in str(error), f"the error about {field} repeats its value")
    except Exception as error:
        expect(False, f"settings with a wrong {field} raise {type(error).__name__}, not BadSettings")
    else:
        expect(False, f"settings with a wrong or missing {field} are taken")


@check(faces=SYNC)
def a_credential_that_cannot_travel_in_a_header_is_refused_at_construction(bench: Bench) -> None:
    """A key copied with its line break fails at start-up, not at the first payer."""
    spec, given = bench.subject.spec, bench.subject.settings(bench.pg)
    made = settings_from(spec.settings, given, spec.name)
    for field in attrs.fields(spec.settings):
        value = getattr(made, field.name)
        if isinstance(value, Secret) and isinstance(given.get(field.name), str):
            for wrong in ("", f"{value.reveal()}\nx", f"{value.reveal()}\r", "\x00"):
                _refused(spec.settings, {**given, field.name: wrong}, spec.name, field.name)


@check(faces=SYNC)
def what_is_not_claimed_raises_unsupported_and_sends_nothing(bench: Bench) -> None:
    """The difference between PGs is known before the first byte."""
    for verb, needs, argument in _unclaimed(bench):
        mark = bench.mark
        told = bench.ask(verb, argument)
        expect(isinstance(told.error, Unsupported), f"{needs.value} is not claimed, and {verb} {told}")
        bench.silent(mark, f"{needs.value} is not claimed")


def _unclaimed(bench: Bench) -> list[tuple[str, Capability, Any]]:
    from . import examples

    return [(verb, needs, examples.command(bench, verb)) for verb, needs in examples.VERBS
            if not bench.claims(needs)]


@check(faces=SYNC)
def the_story_is_told_in_commands_that_the_provider_accepts(bench: Bench) -> None:
    """The emulator's example commands are what every other check is made of."""
    story = bench.story
    expect(story.start.utcoffset() is not None, "the story starts at an instant without a time zone")
    wanted = {C.PAY: story.pay, C.REGISTER: story.register, C.CHARGE: story.charge, C.SCHEDULE: story.schedule,
              C.SUBSCRIBE: story.subscribe, C.CANCEL_PARTLY: story.cancel_part}
    for capability, example in wanted.items():
        expect(not bench.claims(capability) or example is not None, f"the story has no example of {capability.value}")
    for command in (story.pay, story.register, story.subscribe):
        if command is not None:
            bench.provider.check(command)
    if story.schedule is not None and bench.claims(C.SCHEDULE):
        told = bench.schedule()
        expect(all(story.start < c.due_at <= story.start + timedelta(days=40) for c in told.charges[:1]),
               "the first dated charge of the story is not within 40 days of its start")
    if story.cancel_part is not None and story.pay is not None:
        expect(Money(0, story.cancel_part.currency) < story.cancel_part < story.pay.money,
               "the story's cancel_part is no part of its payment")
