"""Every shipped profile is a test case: by the real rules, by what Debian's packages bring, beside all the others."""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest

from hotsync.model.mute import covers, mutable
from hotsync.model.selection import Action
from hotsync.model.unit_names import template_of
from hotsync.profiles.catalog import shipped
from hotsync.profiles.resolve import resolve
from hotsync.profiles.schema import Profile, UnitCheck
from tests.support.debian_contents import ALSO

PROFILES = shipped()
TABLES = Path(__file__).resolve().parents[2] / "tables/debian"
DEBIAN: dict[str, dict[str, list[str]]] = json.loads((TABLES / "bookworm.json").read_text())
"""Of each package of Debian 12 that a profile names: units, jobs of cron, and what it brings in /etc."""
ELSEWHERE: dict[str, dict[str, list[str]]] = tomllib.loads((TABLES / "elsewhere.toml").read_text())
"""What Debian 12 has not, by whose it is."""

every_profile = pytest.mark.parametrize("name", sorted(PROFILES))


def brought(profile: Profile, kind: str) -> set[str]:
    return {found for name in profile.detect.debian for found in DEBIAN.get(name, {}).get(kind, ())}


def beside(kind: str) -> set[str]:
    return {found for name in ALSO for found in DEBIAN[name][kind]}


def elsewhere(kind: str) -> set[str]:
    return {name for names in ELSEWHERE[kind].values() for name in names}


def units_of(profile: Profile) -> set[str]:
    checked = {check.unit for check in profile.checks if isinstance(check, UnitCheck)}
    return {*profile.services.mute, *profile.services.start, *profile.detect.units, *checked}


def sample(pattern: str) -> str:
    return pattern.replace("*", "x").strip("/")


@every_profile
def test_a_debian_name_is_a_package_of_debian_or_is_said_to_come_from_elsewhere(name: str) -> None:
    named = set(PROFILES[name].detect.debian)
    assert named - DEBIAN.keys() - elsewhere("packages") == set()


@every_profile
def test_one_that_no_test_can_hold_against_a_package_does_not_say_that_it_was_tried(name: str) -> None:
    in_debian = not DEBIAN.keys().isdisjoint(PROFILES[name].detect.debian)
    tried = PROFILES[name].profile.tested
    assert tried in ("lab", "contract") or (tried == "table") is in_debian


@every_profile
def test_a_unit_is_one_of_the_packages_or_is_said_to_come_from_elsewhere(name: str) -> None:
    known = frozenset(brought(PROFILES[name], "units") | beside("units") | elsewhere("units"))
    assert sorted(unit for unit in units_of(PROFILES[name]) if not covers(known, unit)) == []


@every_profile
def test_the_jobs_of_its_packages_are_named_and_others_are_said_to_come_from_elsewhere(name: str) -> None:
    named = set(PROFILES[name].services.cron)
    assert named - elsewhere("jobs") - beside("jobs") == brought(PROFILES[name], "jobs")


@every_profile
def test_a_setting_that_a_package_brings_is_carried_by_its_profile(name: str) -> None:
    profile = PROFILES[name]
    rules = resolve([profile], [], [], lambda pattern: [sample(pattern)])
    ours = {path for path in brought(profile, "settings") if path not in ELSEWHERE["settings"]["of others"]}
    assert sorted(path for path in ours if rules.decide(path.strip("/")).action is not Action.INCLUDE) == []


@every_profile
def test_units_of_its_packages_are_held_or_may_run_as_a_whole(name: str) -> None:
    services = PROFILES[name].services
    if services.mute:
        assert [unit for unit in services.start if not covers(frozenset(services.mute), unit)] == []
    assert [unit for unit in services.mute if not mutable({unit})] == []


@every_profile
def test_a_unit_that_is_checked_is_one_that_it_starts(name: str) -> None:
    profile = PROFILES[name]
    checked = {check.unit for check in profile.checks if isinstance(check, UnitCheck)}
    started = {*profile.services.start, *map(template_of, profile.services.start)}
    assert checked - started <= {"dbus.service"}


@pytest.mark.parametrize("beside", ["base only", "all others"])
@every_profile
def test_what_it_says_of_a_path_is_what_happens(name: str, beside: str) -> None:
    files = PROFILES[name].files
    chosen = PROFILES.values() if beside == "all others" else [PROFILES["base"], PROFILES[name]]
    rules = resolve(list(chosen), [("/", "ext4")], [], lambda pattern: [f"/{sample(pattern)}"])
    said = [(path, Action.INCLUDE) for path in files.include]
    said += [(path, Action.EXCLUDE) for path in files.left_out]
    said += [(path, Action.PROTECT) for path in files.protect]
    assert [(path, action) for path, action in said if rules.decide(sample(path)).action is not action] == []


@every_profile
def test_what_it_has_paused_is_its_own_unit_and_a_folder_that_is_carried(name: str) -> None:
    rules = resolve(list(PROFILES.values()), [("/", "ext4")], [], lambda pattern: [sample(pattern)])
    for paused in PROFILES[name].paused:
        assert paused.unit in PROFILES[name].services.start
        assert [rules.decide(folder.strip("/")).action for folder in paused.folders] == [Action.INCLUDE]


def test_no_two_profiles_contradict_each_other_on_a_path() -> None:
    said: dict[str, dict[Action, str]] = defaultdict(dict)
    for name, profile in PROFILES.items():
        for path in profile.files.include:
            said[path][Action.INCLUDE] = name
        for path in profile.files.left_out:
            said[path][Action.EXCLUDE] = name
        for path in profile.files.protect:
            said[path][Action.PROTECT] = name
    assert {path: names for path, names in said.items() if len(names) > 1} == {}


def test_no_package_is_held_by_one_profile_and_free_by_another() -> None:
    held = {package: name for name, one in PROFILES.items() if one.services.mute for package in one.detect.all_packages}
    free = {
        package: name for name, one in PROFILES.items() if not one.services.mute for package in one.detect.all_packages
    }
    assert held.keys() & free.keys() == set()


def test_no_unit_is_held_by_one_profile_and_free_by_another() -> None:
    held = frozenset(unit for profile in PROFILES.values() for unit in profile.services.mute)
    free = {unit for profile in PROFILES.values() if not profile.services.mute for unit in profile.services.start}
    assert sorted(unit for unit in free if covers(held, unit)) == []


def test_everything_that_is_said_to_come_from_elsewhere_is_named_by_a_profile() -> None:
    profiles = list(PROFILES.values())
    named = {
        "packages": {package for profile in profiles for package in profile.detect.debian},
        "units": {unit for profile in profiles for unit in units_of(profile)},
        "jobs": {job for profile in profiles for job in profile.services.cron},
    }
    assert [name for kind, names in named.items() for name in sorted(elsewhere(kind) - names)] == []


@pytest.mark.parametrize(
    "path",
    [
        "var/mail/ada", "var/spool/mail/ada", "var/spool/imap/a/user/ada", "var/spool/cyrus/mail/a/user/ada",
        "var/kerberos/krb5kdc/principal", "var/opt/shop/data", "var/local/books",
    ],
)  # fmt: skip
def test_data_is_carried_wherever_a_distribution_keeps_it(path: str) -> None:
    chosen = resolve([PROFILES["base"]], [("/", "ext4")], [], lambda pattern: [pattern])
    assert chosen.decide(path).action is Action.INCLUDE
