"""The package on a clean Debian: installed, used, upgraded, removed, purged."""

from __future__ import annotations

import ast
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from hotsync.backends.packages.apt import POLICY, POLICY_TEXT
from hotsync.backends.production_units import MUTE_DROP_IN
from hotsync.engine.promotion.files import way_station
from hotsync.engine.slave.repositories_apt import SOURCE_FILE
from tests.packaging.conftest import PROJECT, build, field
from tests.packaging.root import Root

pytestmark = pytest.mark.contract

SCRIPTS: dict[str, str] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["scripts"]
INTERNAL = {"hotsyncd", "hotsync-receive", "hotsync-stream", "hotsync-watch", "hotsync-guard"}
COMMANDS = sorted(set(SCRIPTS) - INTERNAL)
UNITS = sorted(path.name for path in (PROJECT / "systemd").glob("hotsync*.*"))
STATE = "/var/lib/hotsync"
OF_APPLICATIONS = {"doveadm", "ldapsearch", "mariadb", "mariadb-dump", "psql", "pg_dump", "pg_dumpall", "smbclient"}
OF_SYSTEMS = {"netplan", "nmcli", "repquota", "rpm", "setquota", "ssh", "yumdb"}
"""Asked only where the server is managed by them, has quotas, or was told to use them (`FenceSsh`)."""
RECOMMENDED = {"dpkg-repack"}
"""Asked only for what cannot be had otherwise; what it lacks then is said."""
SAY_YES = "echo hotsync hotsync/purge-replica boolean true | debconf-set-selections"
MUTE = f"/etc/systemd/system/cron.service.d/{MUTE_DROP_IN}"


KEPT = ("network-files", "replica.1", "undone", "vault")
"""Beside the replica and what a promotion put aside: folders of the state that may hold the only copy of something."""


def state_of(root: Root) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file that HotSync keeps (locks aside)."""
    files = (path for path in sorted(root.at(STATE).rglob("*")) if path.is_file() and path.suffix != ".lock")
    return {str(path): (path.stat().st_mode, path.read_bytes()) for path in files}


def live_on(root: Root) -> None:
    """Make the system look like one that HotSync has served for a while."""
    root.run("config", "setprop", "hotsync", "role", "slave", "MasterHost", "192.0.2.1")
    for path, text in {
        f"{STATE}/role.json": "{}",
        f"{STATE}/tls/key.pem": "secret",
        f"{STATE}/replica/tree/etc/hostname": "master",
        f"{STATE}/manifest.db": "entries",
        f"{STATE}/spool/facts/packages.json": "{}",
        "/etc/hotsync/profiles.d/site.toml": "",
        "/etc/hotsync.d/plugin": "",
        "/etc/systemd/system/hotsync.timer.d/interval.conf": "[Timer]\n",
        f"{STATE}/aside/etc/hostname": "slave",
        f"{STATE}/aside.1/etc/hostname": "slave",
        **{f"{STATE}/{name}/kept": "the only copy" for name in KEPT},
        f"/{way_station(1)}/aside/srv/file": "slave",
        SOURCE_FILE: "deb http://192.0.2.1/debian stable main\n",
        "/etc/apt/keyrings/hotsync-0123456789abcdef.gpg": "key",
        "/etc/apt/keyrings/hotsync-0123456789abcdef.asc": "key",
        MUTE: "[Unit]\n",
    }.items():
        root.at(path).parent.mkdir(parents=True, exist_ok=True)
        root.at(path).write_text(text)


def test_the_same_source_gives_the_same_bytes_from_scratch_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("src", "systemd", "packaging", "lock", "docs", "script"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / ".tools").symlink_to(PROJECT / ".tools")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    sums = set()
    for out in ("one", "two"):
        package = build(tmp_path / out, project=tmp_path)
        sums.add(hashlib.sha256(package.read_bytes()).hexdigest())
        shutil.rmtree(tmp_path / "build")
    assert len(sums) == 1


def test_a_mail_server_is_suggested_and_never_comes_along(package: Path) -> None:
    assert field(package, "Suggests") == "default-mta | mail-transport-agent, openssh-client"
    # one on a SLAVE would be in the way of its MASTER's: hotsync-slave removes nothing (docs/decisions/0071, 0084)
    for name in ("Depends", "Pre-Depends", "Recommends"):
        assert not re.search(r"\b(default-mta|mail-transport-agent|exim4\S*|postfix)\b", field(package, name)), name


def test_what_does_more_where_it_is_there_is_recommended(package: Path) -> None:
    assert set(field(package, "Recommends").split(", ")) == RECOMMENDED
    assert programs() >= RECOMMENDED


def test_it_installs_with_what_it_depends_on_and_nothing_more(seen: Root) -> None:
    assert seen.run("dpkg", "--audit").stdout == ""
    assert seen.run("dpkg", "--verify", "hotsync").stdout == ""
    assert seen.run("apt-get", "check").returncode == 0


def test_the_readmes_first_lines_work_as_typed(clean_root: Root) -> None:
    steps = [line.strip() for line in (PROJECT / "README.md").read_text().splitlines() if line.startswith(" " * 7)]
    build_it, copy, *_ = steps
    install = next(step for step in steps if step.startswith("apt install "))
    subprocess.run(["sh", "-euc", build_it], cwd=PROJECT, check=True, capture_output=True)
    scp, pattern, target = copy.split()
    assert scp == "scp"
    folder = clean_root.at(target.partition(":")[2])
    subprocess.run(["sh", "-euc", f"cp {pattern} {folder}"], cwd=PROJECT, check=True)
    clean_root.run("sh", "-euc", install.replace("apt install", "apt-get -qy install"))
    clean_root.run("hotsync", "--version")


def test_every_boot_asks_before_it_has_a_network_and_what_sets_it_up_heeds_the_answer(seen: Root) -> None:
    units = seen.at("/lib/systemd/system")
    assert os.readlink(units / "sysinit.target.wants/hotsync-guard.service") == "../hotsync-guard.service"
    for name in ("networking.service", "ifup@.service", "NetworkManager.service", "systemd-networkd.socket"):
        assert "ConditionPathExists=!/run/hotsync/held" in (units / f"{name}.d/hotsync-held.conf").read_text()


def test_a_boot_takes_away_what_a_drill_without_power_has_left_and_nothing_else(seen: Root) -> None:
    pins = seen.at(f"{STATE}/replica/pins")
    for name in ("drill/srv/file", "drill.manifest", "postgresql-15-main/file"):
        (pins / name).parent.mkdir(parents=True, exist_ok=True)
        (pins / name).write_text("kept")
    try:
        seen.run("systemd-tmpfiles", "--boot", "--remove", "--prefix=/var/lib/hotsync")
        assert sorted(os.listdir(pins)) == ["postgresql-15-main"]
    finally:
        shutil.rmtree(seen.at(f"{STATE}/replica"))


def test_its_state_is_for_root_alone(seen: Root) -> None:
    assert seen.at(STATE).stat().st_mode & 0o777 == 0o700
    assert seen.at(f"{STATE}/db/configuration").stat().st_mode & 0o777 == 0o600


def test_the_records_are_there_and_the_role_is_empty(seen: Root) -> None:
    shown = seen.run("config", "show", "hotsync").stdout
    assert shown.startswith("hotsync=configuration\n")
    assert seen.run("config", "getprop", "hotsync", "role", ok=False).stdout.strip() == ""
    assert seen.run("/sbin/e-smith/config", "show", "hotsync").stdout == shown


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_not_hear_the_callers_python(seen: Root, command: str) -> None:
    trap = seen.at("/tmp/trap")
    trap.mkdir(exist_ok=True)
    for name in ("click", "hotsync", "sitecustomize"):
        (trap / f"{name}.py").write_text("raise SystemExit(99)\n")
    done = seen.run(command, "--help", ok=False, PYTHONPATH="/tmp/trap", PYTHONSTARTUP="/tmp/trap/click.py")
    assert done.returncode != 99
    assert "Traceback" not in done.stderr


def test_every_library_that_travels_can_be_loaded(seen: Root) -> None:
    names = "click cryptography.x509 prometheus_client psycopg pydantic pymysql pyroute2 rich spake2 tenacity yaml"
    seen.run("/usr/lib/hotsync/venv/bin/python", "-I", "-W", "error", "-c", f"import {', '.join(names.split())}")


def programs() -> set[str]:
    """Return the programs that the code starts by a name of its own: the first word of a list given to run or spawn."""
    found: set[str] = set()
    for path in (PROJECT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.List) and node.args[0].elts:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                first = node.args[0].elts[0]
                if name in {"run", "spawn"} and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_every_program_that_it_starts_comes_with_it_or_with_its_application(seen: Root) -> None:
    needed = programs() - OF_APPLICATIONS - OF_SYSTEMS - RECOMMENDED
    lacking = [name for name in needed if seen.run("which", name, ok=False).returncode != 0]
    assert lacking == []


def test_nothing_is_compiled_at_the_first_start(seen: Root) -> None:
    before = seen.files()
    seen.run("config", "show")
    assert {path for path in seen.files() - before if path.endswith(".pyc")} == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_its_page_and_its_completion(seen: Root, command: str) -> None:
    assert seen.at(f"/usr/share/man/man8/{command}.8.gz").exists()
    seen.run("bash", "-n", f"/usr/share/bash-completion/completions/{command}")


def is_ours(page: str) -> bool:
    """Say whether a man page of this name is HotSync's."""
    return page.split("-")[0] == "hotsync" or page in COMMANDS


def ours_of(root: Root) -> list[Path]:
    """Return HotSync's man pages."""
    pages = sorted(root.at("/usr/share/man").glob("man[58]/*.gz"))
    return [page for page in pages if is_ours(page.name.partition(".")[0])]


def test_every_page_is_well_formed(seen: Root) -> None:
    assert ours_of(seen)
    for page in ours_of(seen):
        words = ["man", "--warnings", "--local-file", str(page)]
        done = subprocess.run(words, env={**os.environ, "MANWIDTH": "100"}, capture_output=True, text=True, check=True)
        assert done.stderr == "", page.name
        assert done.stdout.startswith(page.name.removesuffix(".gz")[:-2].upper())


def test_every_page_and_file_that_a_page_or_a_unit_refers_to_exists(seen: Root) -> None:
    texts = [gzip.decompress(page.read_bytes()).decode() for page in ours_of(seen)]
    texts += [seen.at(f"/lib/systemd/system/{unit}").read_text() for unit in UNITS]
    plain = re.sub(r"\\f[A-Z]", "", "\n".join(texts).replace("\\-", "-"))
    pages = {(name, section) for name, section in re.findall(r"\b([a-z][a-z-]*)\((\d)\)", plain) if is_ours(name)}
    assert ("hotsync-status", "8") in pages
    lacking = [page for page in pages if not seen.at("/usr/share/man/man{1}/{0}.{1}.gz".format(*page)).exists()]
    assert lacking == []
    files = set(re.findall(r"/usr/share/doc/hotsync/[\w.-]*\w", plain))
    assert files
    assert [file for file in files if not seen.at(file).exists()] == []


def test_the_form_of_profiles_has_its_page_and_its_schema(seen: Root) -> None:
    assert seen.at("/usr/share/man/man5/hotsync-profile.5.gz").exists()
    assert seen.at("/usr/share/doc/hotsync/profile.schema.json").exists()


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_the_installed_unit(seen: Root, unit: str) -> None:
    done = seen.run("systemd-analyze", "verify", "--man=no", unit.replace("@.", "@1."), ok=False)
    assert "hotsync" not in done.stderr


def test_an_upgrade_changes_no_setting_and_no_replica(root: Root, next_package: Path) -> None:
    live_on(root)
    before = state_of(root)
    root.install(next_package)
    assert root.run("dpkg-query", "-W", "-f", "${Version}", "hotsync").stdout == "99.0"
    assert state_of(root) == before
    assert root.at(MUTE).exists()


def test_removing_is_refused_while_a_promotion_is_unfinished(root: Root) -> None:
    helper = root.at("/usr/lib/hotsync/bin/hotsync-unfinished")
    assert root.run("/usr/lib/hotsync/bin/hotsync-unfinished").returncode == 0
    helper.write_text("#!/bin/sh\nexit 3\n")
    done = root.apt("remove", "hotsync", ok=False)
    assert "run hotsync-promote to its end" in done.stdout + done.stderr
    assert root.at("/usr/bin/hotsync").exists()
    assert done.returncode != 0


def test_removing_is_refused_while_this_server_is_held_and_then_nothing_of_it_is_let_go(root: Root) -> None:
    live_on(root)
    root.at(f"{STATE}/held.json").write_text("{}")
    for verb in ("remove", "purge"):
        done = root.apt(verb, "hotsync", ok=False)
        assert done.returncode != 0
        said = done.stdout + done.stderr
        assert "it would serve beside the other one" in said
        assert "hotsync rejoin --as-master" in said
        assert root.at(MUTE).exists()
        assert root.at("/usr/bin/hotsync").exists()
    root.at(f"{STATE}/held.json").unlink()
    root.apt("remove", "hotsync")
    assert not root.at("/usr/lib/hotsync").exists()


def test_removing_is_refused_where_the_hold_could_be_written_for_this_boot_only(root: Root) -> None:
    live_on(root)
    held = "mkdir -p /run/hotsync; echo '{}' >/run/hotsync/held.json"
    done = root.run("sh", "-c", f"{held}; apt-get -q -y remove hotsync", ok=False)
    assert done.returncode != 0
    assert "it would serve beside the other one" in done.stdout + done.stderr
    assert root.at(MUTE).exists()


def test_removing_keeps_the_settings_and_lifts_the_mute(root: Root) -> None:
    live_on(root)
    before = state_of(root)
    root.apt("remove", "hotsync")
    assert state_of(root) == before
    assert not root.at(MUTE).parent.exists()
    assert not root.at("/usr/lib/hotsync").exists()
    assert not [path for path in root.files() if Path(path).name in UNITS]


def test_a_purge_keeps_the_replica_and_says_where(root: Root) -> None:
    live_on(root)
    said = root.apt("purge", "hotsync")
    kept = (f"{STATE}/{name}" for name in ("replica", "aside", "aside.1", *KEPT))
    for path in (*kept, f"/{way_station(1)}"):
        assert f"{path} is kept" in said.stdout + said.stderr
        assert root.at(path).exists()
    assert sorted(path.name for path in root.at(STATE).iterdir()) == sorted(
        ["aside", "aside.1", "manifest.db", "replica", *KEPT]
    )
    assert root.at(f"{STATE}/replica/tree/etc/hostname").read_text() == "master"


@pytest.mark.parametrize("steps", [("purge",), ("remove", "purge")], ids=" then ".join)
def test_a_purge_leaves_nothing_when_the_administrator_says_so(
    clean_root: Root, package: Path, steps: tuple[str, ...]
) -> None:
    before = clean_root.files()
    clean_root.install(package)
    live_on(clean_root)
    clean_root.run("sh", "-euc", SAY_YES)
    for step in steps:
        clean_root.apt(step, "hotsync")
    assert clean_root.files() - before == set()


@pytest.mark.parametrize("place", [STATE, f"{STATE}/replica"])
def test_a_purge_empties_what_is_mounted_for_hotsync_and_leaves_the_mount(root: Root, place: str) -> None:
    script = f"""
        {SAY_YES}
        mkdir -p {place}
        mount -t tmpfs none {place}
        mkdir -p {STATE}/replica/tree/etc {STATE}/db
        echo master >{STATE}/replica/tree/etc/hostname
        dpkg --purge hotsync
        mountpoint {place}
        find {place} -mindepth 1
    """
    said = root.run("sh", "-euc", script)
    assert place in said.stderr
    assert said.stdout.splitlines()[-1] == f"{place} is a mountpoint"
    assert root.run("dpkg-query", "-W", "hotsync", ok=False).returncode != 0


def test_a_purge_leaves_alone_and_names_what_is_mounted_inside_of_what_it_deletes(root: Root) -> None:
    inside, elsewhere = f"{STATE}/aside/srv", "/srv/disk"
    script = f"""
        {SAY_YES}
        mkdir -p {inside} {elsewhere}
        mount -t tmpfs none {inside}
        mount -t tmpfs none {elsewhere}
        mkdir {elsewhere}/{way_station(2)}
        echo precious >{inside}/file
        dpkg --purge hotsync
        cat {inside}/file
    """
    said = root.run("sh", "-euc", script)
    assert f"{STATE}/aside is kept" in said.stderr
    assert f"{elsewhere}/{way_station(2)} is kept" in said.stderr
    assert said.stdout.endswith("precious\n")


@pytest.mark.parametrize(
    ("text", "stays"), [(POLICY_TEXT.decode(), False), ("#!/bin/sh\n# the administrator's\nexit 101\n", True)]
)
def test_removing_takes_away_the_word_of_a_cut_install_that_nothing_may_start(
    root: Root, text: str, stays: bool
) -> None:
    root.at(POLICY).write_text(text)
    root.at(POLICY).chmod(0o755)
    root.apt("remove", "hotsync")
    assert root.at(POLICY).exists() is stays


def test_what_comes_back_after_a_removal_says_how_to_take_up_its_work_again(root: Root, package: Path) -> None:
    root.run("config", "setprop", "hotsync", "role", "slave", "MasterHost", "192.0.2.1")
    root.apt("remove", "hotsync")
    said = root.install(package)
    assert "signal-event nethserver-hotsync-save" in said.stdout + said.stderr
    again = root.install(package)
    assert "signal-event nethserver-hotsync-save" not in again.stdout + again.stderr


def test_a_purge_where_there_was_no_replica_asks_nothing_and_leaves_nothing(clean_root: Root, package: Path) -> None:
    before = clean_root.files()
    clean_root.install(package)
    said = clean_root.apt("purge", "hotsync")
    assert "is kept" not in said.stdout + said.stderr
    assert clean_root.files() - before == set()
