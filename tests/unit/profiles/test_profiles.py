from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from hotsync.backends.rebuild import ARGUMENTS
from hotsync.errors import ProfileError
from hotsync.model.selection import Action, Selection
from hotsync.profiles.catalog import idle_keys, load_catalog, matching, parse_profile, shipped
from hotsync.profiles.resolve import databases_lacking, mount_rules, resolve
from hotsync.profiles.schema import Restore

PROFILES = shipped()


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_shipped_profile_is_named_as_its_file_and_has_something_to_say(name: str) -> None:
    profile = PROFILES[name]
    assert profile.profile.title
    assert profile.checks or all("@." in unit for unit in profile.services.start)
    assert name == "base" or profile.detect.all_packages or profile.detect.paths
    assert not profile.detect.packages, "a shipped profile says whose names they are"


def selection_of(*names: str) -> Selection:
    chosen = [PROFILES[name] for name in names]
    return resolve(
        chosen, [("/", "ext4"), ("/data", "xfs"), ("/boot/efi", "vfat"), ("/proc", "proc")], [], lambda p: [p]
    )


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("opt/unknown/state", Action.INCLUDE),
        ("data/files", Action.INCLUDE),
        ("boot/efi/x", Action.EXCLUDE),
        ("usr/bin/ls", Action.EXCLUDE),
        ("usr/local/bin/ours", Action.INCLUDE),
        ("usr/lib/hotsync/venv", Action.EXCLUDE),
        ("var/log/syslog", Action.EXCLUDE),
        ("var/lib/dpkg/status", Action.PROTECT),
        ("var/lib/hotsync/tls/key", Action.PROTECT),
        ("var/lib/hotsync/spool/facts/packages.json", Action.INCLUDE),
        ("var/lib/docker/volumes/v/_data", Action.INCLUDE),
        ("var/lib/docker/overlay2/x", Action.PROTECT),
        ("var/lib/containers/storage/volumes/v/_data", Action.INCLUDE),
        ("var/lib/containers/storage/overlay/x", Action.PROTECT),
        ("home/user/.local/share/containers/storage/volumes/v/_data", Action.INCLUDE),
        ("home/user/.local/share/containers/storage/overlay/x", Action.EXCLUDE),
        ("home/user/.local/share/containers/cache/x", Action.EXCLUDE),
        ("etc/fstab", Action.PROTECT),
        ("etc/machine-id", Action.PROTECT),
        ("etc/shadow", Action.INCLUDE),
        ("etc/ssh/ssh_host_rsa_key", Action.INCLUDE),
        ("home/user/.cache/thumb", Action.EXCLUDE),
    ],
)
def test_by_default_everything_that_can_be_data_is_carried_minus_named_ones(path: str, action: Action) -> None:
    assert selection_of("base").decide(path).action is action


def test_the_files_of_a_live_database_are_never_carried() -> None:
    selection = selection_of("base", "mariadb", "postgresql")
    assert selection.decide("var/lib/mysql/ibdata1").action is Action.PROTECT
    assert selection.decide("var/lib/postgresql/15/main/base/1/2").action is Action.PROTECT


def test_a_profile_matches_by_package_path_or_unit(tmp_path: Path) -> None:
    (tmp_path / "etc/postgresql").mkdir(parents=True)
    found = matching(PROFILES.values(), frozenset({"samba"}), frozenset({"mariadb.service"}), tmp_path)
    assert [profile.name for profile in found] == ["base", "mariadb", "postgresql", "samba"]


@pytest.mark.parametrize("key", ["packages", "debian", "rhel", "nethserver"])
def test_a_package_counts_whosever_name_it_is(tmp_path: Path, key: str) -> None:
    text = f'[profile]\nname = "shop"\ntitle = "Shop"\n[detect]\n{key} = ["shopd"]\n'
    profile = parse_profile(text, "shop.toml")
    assert matching([profile], frozenset({"shopd"}), frozenset(), tmp_path) == [profile]
    assert matching([profile], frozenset({"shop"}), frozenset(), tmp_path) == []


def test_a_path_counts_below_any_of_the_roots_as_a_promotion_moves_it(tmp_path: Path) -> None:
    (tmp_path / "live/etc/postgresql").mkdir(parents=True)
    found = matching(PROFILES.values(), frozenset(), frozenset(), tmp_path / "tree", tmp_path / "live")
    assert "postgresql" in {profile.name for profile in found}


def test_all_faults_of_a_profile_are_told_with_their_place() -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile('[profile]\nname = "Bad Name"\ntitle = "x"\n[files]\ninclude = ["relative"]\nodd = 1\n', "x.toml")
    for place in ("profile.name", "files.include.0", "files.odd"):
        assert place in caught.value.sentence


def test_a_site_profile_replaces_a_shipped_one_and_a_broken_one_is_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "samba.toml").write_text('[profile]\nname = "samba"\ntitle = "Ours"\n')
    (tmp_path / "zbroken.toml").write_text("[profile\n")
    profiles, errors = load_catalog(tmp_path)
    assert profiles["samba"].profile.title == "Ours"
    assert len(profiles) == len(PROFILES)
    assert "zbroken.toml" in errors[0].sentence


def test_only_local_file_systems_that_may_hold_data_become_includes() -> None:
    mounts = [
        ("/", "ext4"),
        ("/data", "xfs"),
        ("/boot", "ext4"),
        ("/net", "nfs4"),
        ("/run/x", "ext4"),
        ("/mnt/d", "btrfs"),
    ]
    assert [rule.pattern for rule in mount_rules(mounts)] == ["/data", "/mnt/d"]


def test_what_is_made_anew_is_not_carried_and_is_told_apart_from_keys_that_do_nothing_yet(tmp_path: Path) -> None:
    (tmp_path / "search.toml").write_text(
        """[profile]
name = "search"
title = "Search"
[files]
rebuild = ["/var/lib/search/index"]
[[databases]]
engine = "sqlite"
dump = "/var/lib/search/dump.sql"
[[ownership]]
path = "/var/lib/search"
owner = "Debian-search:search.index"
folders = "0750"
[requires]
not_older = ["search-server"]
[[restore]]
make = "systemd-tmpfiles"
"""
    )
    profiles, errors = load_catalog(tmp_path)
    assert errors == []
    profile = profiles["search"]
    rules = resolve([PROFILES["base"], profile], [("/", "ext4")], [], lambda p: [p])
    assert rules.decide("var/lib/search/index/1").action is Action.EXCLUDE
    assert idle_keys(profile) == [
        "databases.dump", "databases.engine", "ownership.folders", "ownership.owner", "ownership.path",
    ]  # fmt: skip


def test_what_needs_its_databases_is_named_where_they_are_not_carried() -> None:
    sentences = databases_lacking([PROFILES["base"], PROFILES["freepbx"]])
    assert [sentence.partition(":")[0] for sentence in sentences] == ["FreePBX"]


def test_what_works_without_databases_is_not_said_to_need_them(tmp_path: Path) -> None:
    for path in ("etc/asterisk/asterisk.conf", "var/log/smbaudit.log"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    found = matching(PROFILES.values(), frozenset(("asterisk", "samba")), frozenset(), tmp_path)
    assert {"asterisk", "samba"} <= {profile.name for profile in found}
    assert databases_lacking(found) == ()
    assert resolve(found, [], [], lambda p: [p]).decide("var/log/smbaudit.log").action is Action.INCLUDE


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("var/lib/roundcubemail/temp", Action.INCLUDE),
        ("var/lib/roundcubemail/temp/RCMTEMPattmnt1", Action.EXCLUDE),
        ("var/lib/roundcubemail/RCMTEMPattmnt1", Action.EXCLUDE),
        ("var/lib/roundcubemail/enigma/anna/pubring.kbx", Action.INCLUDE),
        ("var/lib/roundcubemail/roundcube.db", Action.INCLUDE),
        ("var/lib/roundcube/temp", Action.INCLUDE),
        ("var/lib/roundcube/temp/RCMTEMPattmnt1", Action.EXCLUDE),
        ("var/lib/roundcube/enigma/anna/pubring.kbx", Action.INCLUDE),
    ],
)
def test_of_a_webmail_only_what_is_temporary_stays_behind(path: str, action: Action) -> None:
    assert selection_of("base", "roundcube").decide(path).action is action


def test_secrets_of_containers_are_carried_with_their_volumes() -> None:
    users = "/home/anna/.local/share/containers/storage/secrets"
    rules = resolve(
        [PROFILES["base"], PROFILES["podman"]], [("/", "ext4")], [], lambda pattern: [pattern.replace("*", "anna")]
    )
    for place in ("/var/lib/containers/storage/secrets", users):
        assert rules.decide(f"{place[1:]}/filedriver/secretsdata.json").action is Action.INCLUDE
    assert rules.decide("home/anna/.local/share/containers/storage/overlay/x").action is Action.EXCLUDE
    assert rules.decide("var/lib/containers/storage/overlay/x").action is Action.PROTECT


def test_nothing_but_what_hotsync_knows_can_be_made_anew() -> None:
    text = '[profile]\nname = "x"\ntitle = "x"\n[[restore]]\nmake = "/bin/sh"\n'
    with pytest.raises(ProfileError, match=r"restore\.0\.make"):
        parse_profile(text, "x.toml")
    assert set(get_args(Restore.model_fields["make"].annotation)) == set(ARGUMENTS)


def test_no_note_says_that_what_the_master_runs_is_not_held_or_is_freed_by_a_profile_without_mute() -> None:
    """What the MASTER runs is held whatever a profile's `mute` says; `services.keep` on the SLAVE frees it."""
    notes = {profile.name: " ".join(profile.profile.notes) for profile in PROFILES.values()}
    assert [name for name, said in notes.items() if "without `mute`" in said or "not muted" in said] == []
