"""`hotsync coverage` with real processes, real files, dpkg's real lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from hotsync.backends.package_files import read_all_files
from hotsync.cli.coverage import coverage_command
from hotsync.model.identity import Role, RoleRecord
from hotsync.state.coverage import load_coverage
from hotsync.state.store import save_role
from hotsync.system import command
from hotsync.system.paths import Paths

pytestmark = pytest.mark.contract

Start = Callable[[str], None]
OLD = 1_000_000_000


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("HOTSYNC_ROOT", str(tmp_path))
    paths = Paths(tmp_path)
    paths.state.mkdir(parents=True)
    return paths


@pytest.fixture
def start() -> Iterator[Start]:
    """Run a Python program until the test ends; it says a line when it is ready."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(program: str) -> None:
        program += "\nprint('ready', flush=True)\nimport signal\nsignal.pause()"
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def ask(*words: str) -> dict[str, dict[str, dict[str, object]]]:
    done = CliRunner().invoke(coverage_command, [*words, "--json"], standalone_mode=False)
    assert done.exception is None, done.exception
    document = json.loads(done.output)
    return {"found": {each.get("path", each.get("name")): each for each in document["unprotected"]}}


def plant(paths: Paths, path: str, content: str = "x") -> Path:
    file = paths.at(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def test_a_file_planted_in_an_unknown_place_is_told_and_so_is_the_unknown_program_that_writes_it(
    paths: Paths, start: Start
) -> None:
    file = plant(paths, "/data/app/orders.db", "12345")
    plant(paths, "/srv/carried")
    plant(paths, "/var/cache/app/x")
    start(f"file = open({str(file)!r}, 'ab')")
    found = ask()["found"]
    assert set(found) == {"/data"}
    assert (found["/data"]["kind"], found["/data"]["files"], found["/data"]["bytes"]) == ("data", 1, 5)
    assert "python" in str(found["/data"]["by"])


def test_a_file_that_only_an_open_handle_tells_of_is_told_a_deleted_or_read_one_is_not(
    paths: Paths, start: Start
) -> None:
    old, read, gone = (plant(paths, f"/data/{name}") for name in ("old", "read", "gone"))
    start(f"files = open({str(old)!r}, 'r+b'), open({str(read)!r}), open({str(gone)!r}, 'wb')")
    gone.unlink()
    # its ctime says that it changed just now: only a rule of the site keeps this quiet
    plant(paths, "/etc/backup-data.d/site.exclude", "/data/read\n")
    found = ask()["found"]
    assert set(found) == {"/data/old"}


def test_how_far_back_is_looked_can_be_said(paths: Paths) -> None:
    os.utime(plant(paths, "/data/x"), (OLD, OLD))  # which changes its ctime, as copying with old times does
    assert set(ask("--days", "1")["found"]) == {"/data"}
    assert set(ask("--days", "0")["found"]) == {"/data"}


def test_what_dpkg_brought_is_no_concern_and_what_lies_beside_it_is(paths: Paths) -> None:
    paths.at("/usr/bin").mkdir(parents=True)
    paths.at("/bin").symlink_to("usr/bin")
    info = paths.at("/var/lib/dpkg/info")
    info.mkdir(parents=True)
    (info / "tools.list").write_text("/.\n/bin\n/bin/tool\n/usr\n/usr/bin\n/usr/bin/other\n")
    paths.at("/var/lib/dpkg/diversions").write_text("/usr/bin/other\n/usr/bin/other.distrib\nbetter\n")
    for name in ("tool", "other", "other.distrib", "planted"):
        plant(paths, f"/usr/bin/{name}")
    assert set(ask()["found"]) == {"/usr/bin/planted"}


def test_dpkgs_real_lists_name_this_hosts_programs_as_they_lie() -> None:
    owned = read_all_files(Path("/"))
    for program in ("sh", "tar", "dpkg"):
        path = Path("/usr/bin", program)
        assert str(path) in owned or str(path.resolve()) in owned


def test_a_server_with_nothing_of_its_own_is_quiet(paths: Paths) -> None:
    done = CliRunner().invoke(coverage_command, [], standalone_mode=False)
    assert "Nothing is unprotected." in done.output
    assert done.return_value == (0 if os.geteuid() == 0 else 1)


def test_a_slave_without_a_generation_says_what_to_do(paths: Paths) -> None:
    save_role(paths, RoleRecord(Role.SLAVE, 1, None))
    done = CliRunner().invoke(coverage_command, ["--json"])
    assert done.exit_code == 3
    assert json.loads(done.output)["error"]["code"] == "refused.ready"


def test_what_was_found_is_kept_for_the_status_unless_another_time_was_asked_for(paths: Paths) -> None:
    save_role(paths, RoleRecord(Role.MASTER, 1, None))
    plant(paths, "/data/x")
    ask("--days", "30")
    assert load_coverage(paths) is None
    done = CliRunner().invoke(coverage_command, ["--timer"], standalone_mode=False)
    assert done.output == "1 thing is not protected: hotsync coverage\n"
    found = load_coverage(paths)
    assert found is not None
    assert [finding.name for finding in found.findings] == ["/data"]


def test_a_key_that_settings_name_is_told_with_them_whatever_its_age(paths: Paths) -> None:
    key = "-----BEGIN PRIVATE KEY-----\n"
    plant(paths, "/etc/nginx/site.conf", "ssl /data/tls/a.crt;\n# ssl /data/tls/old.crt\nssl /etc/ok.pem;\n")
    plant(paths, "/etc/ok.pem", key)
    for name, content in (("a.crt", "x"), ("old.crt", "x"), ("lying.key", key)):
        plant(paths, f"/data/tls/{name}", content)
    found = ask()["found"]
    assert set(found) == {"/data", "/data/tls/a.crt", "/data/tls/lying.key"}
    assert found["/data/tls/a.crt"]["by"] == ["/etc/nginx/site.conf"]
    assert str(found["/data/tls/lying.key"]["reason"]).startswith("holds a private key")


DOCKER = {
    "Name": "/web",
    "Config": {"Image": "nginx:1.27", "Labels": {}},
    "MountPoints": {"/usr/share/nginx": {"Source": "/data/web"}, "/tmp/sock": {"Source": "/run/docker.sock"}},
}
COMPOSED = {
    "Name": "/shop",
    "Config": {"Image": "shop", "Labels": {
        "com.docker.compose.project.config_files": "compose.yml",
        "com.docker.compose.project.working_dir": "/opt/shop",
    }},
    "MountPoints": {"/var/lib/shop": {"Source": "/var/lib/docker/volumes/shop/_data"}},
}  # fmt: skip


def test_containers_are_told_that_nobody_can_make_again_and_what_they_keep_in_unknown_places(paths: Paths) -> None:
    for number, kept in enumerate((DOCKER, COMPOSED)):
        plant(paths, f"/var/lib/docker/containers/{number}/config.v2.json", json.dumps(kept))
    plant(paths, "/var/lib/docker/containers/2/config.v2.json", "damaged")
    found = ask()["found"]
    assert set(found) == {"docker web", "/data/web"}
    assert (found["docker web"]["kind"], found["/data/web"]["kind"]) == ("container", "volume")
    assert found["/data/web"]["by"] == ["docker container web"]


def test_containers_of_podman_are_told_with_what_they_keep_in_unknown_places(paths: Paths) -> None:
    storage = "/var/lib/containers/storage"
    listed = [
        {"id": "ab01", "names": ["db"], "metadata": json.dumps({"name": "db", "image-name": "docker.io/db:1"})},
        {"id": "../../x", "names": ["odd"]},
    ]
    plant(paths, f"{storage}/overlay-containers/containers.json", json.dumps(listed))
    spec = {
        "mounts": [
            {"type": "bind", "source": f"{storage}/volumes/db/_data"},
            {"type": "bind", "source": "/data/db"},
            {"type": "bind", "source": "/run/containers/storage/ab01/userdata/hosts"},
            {"type": "tmpfs", "source": "/data/no"},
        ],
        "process": {"env": ["PODMAN_SYSTEMD_UNIT=db.service"]},
    }
    plant(paths, f"{storage}/overlay-containers/ab01/userdata/config.json", json.dumps(spec))
    found = ask()["found"]
    assert set(found) == {"/data/db"}, "its own volume is carried"
    assert found["/data/db"]["by"] == ["podman container db"]


def test_containers_of_people_are_told_with_whose_they_are(paths: Paths) -> None:
    """They were neither told nor a fault, and the ports that they listen on were passed over as a container's."""
    plant(paths, "/etc/passwd", "anna:x:1000:1000::/home/anna:/bin/bash\nbuild:x:990:990::/srv/build:/bin/false\n")
    homes = {"/home/anna": ("overlay", "web"), "/home/of-ldap": ("vfs", "web"), "/srv/build": ("overlay", "made")}
    for home, (driver, name) in homes.items():
        storage = f"{home}/.local/share/containers/storage"
        listed = [{"id": "ab01", "names": [name], "metadata": json.dumps({"image-name": "docker.io/web:1"})}]
        plant(paths, f"{storage}/{driver}-containers/containers.json", json.dumps(listed))
        env = ["PODMAN_SYSTEMD_UNIT=made.service"] if name == "made" else []
        mounts = [{"type": "bind", "source": source} for source in ("/data/web", f"{storage}/volumes/web/_data")]
        spec = {"mounts": mounts, "process": {"env": env}}
        plant(paths, f"{storage}/{driver}-containers/ab01/userdata/config.json", json.dumps(spec))
    plant(paths, "/home/anna/.local/share/docker/containers/1/config.v2.json", json.dumps(DOCKER))
    for name, said in (("carl", "["), ("dora", "[" * 100_000), ("emil", "")):
        bad = plant(paths, f"/home/{name}/.local/share/containers/storage/overlay-containers/containers.json", said)
    bad.unlink()
    os.mkfifo(bad)
    found = ask()["found"]
    assert {"podman web of anna", "podman web of of-ldap", "docker web of anna"} <= set(found)
    assert not any(name.startswith("podman made") for name in found), "a unit of his own makes it"
    assert found["/data/web"]["by"] == ["docker container web of anna"]


def test_homes_and_what_settings_name_outside_of_the_rules_are_told_whatever_their_age(paths: Paths) -> None:
    plant(
        paths, "/etc/passwd", "anna:x:1000:1000::/home/people/anna:/bin/bash\ncarl:x:1001:1001::/home/carl:/bin/bash\n"
    )
    plant(
        paths,
        "/var/www/nextcloud/config/config.php",
        "<?php $CONFIG = array('datadirectory' => '/big/nextcloud', 'trusted_domains' => array());\n",
    )
    for file in ("/data/users/anna/old", "/big/nextcloud/anna/old", "/home/carl/old"):
        os.utime(plant(paths, file), (OLD, OLD))
    os.symlink("../data/users", paths.at("/home/people"))  # a run follows no link: what it leads to is not carried
    found = ask()["found"]
    assert found["/data/users/anna"]["by"] == ["anna"]
    assert found["/big/nextcloud"]["by"] == ["Nextcloud, /var/www/nextcloud/config/config.php"]
    assert {found[path]["kind"] for path in ("/data/users/anna", "/big/nextcloud")} == {"folder"}
    plant(paths, "/etc/backup-data.d/own.include", "/data/users\n/big/nextcloud\n")
    assert not {"/data/users/anna", "/big/nextcloud"} & set(ask()["found"])


def test_a_program_that_gives_no_answer_is_a_fault_and_not_nothing(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The status read "nothing is unprotected" where systemctl and ss had failed."""
    save_role(paths, RoleRecord(Role.MASTER))
    paths.at("/run/systemd/system").mkdir(parents=True)
    broken = tmp_path_factory.mktemp("broken")
    for program in ("systemctl", "ss"):
        (broken / program).write_text("#!/bin/sh\necho no bus >&2\nexit 1\n")
        (broken / program).chmod(0o755)
    monkeypatch.setitem(command.ENVIRONMENT, "PATH", f"{broken}:{command.ENVIRONMENT['PATH']}")
    done = CliRunner().invoke(coverage_command, ["--timer"], standalone_mode=False)
    assert done.return_value == 1
    assert "2 things could not be looked at" in done.output
    found = load_coverage(paths)
    assert found is not None
    assert [fault.partition(":")[0] for fault in found.faults] == [
        "units were not looked at",
        "listening ports were not looked at",
    ]


def test_a_job_whose_program_nothing_carries_is_told_however_old_that_is(paths: Paths) -> None:
    plant(paths, "/data/job.sh")
    plant(paths, "/data/list")
    plant(paths, "/usr/local/bin/job")
    plant(paths, "/etc/cron.d/own", "0 3 * * * root /data/job.sh >> /data/log\n0 4 * * * root /data/gone.sh\n")
    plant(paths, "/etc/cron.d/.placeholder", "0 3 * * * root /data/job.sh\n")
    plant(paths, "/var/spool/cron/crontabs/app", "0 3 * * * /usr/local/bin/job /data/list\n")
    paths.at("/etc/cron.daily").mkdir(parents=True)
    paths.at("/etc/cron.daily/other").symlink_to(paths.at("/data/job.sh"))
    done = CliRunner().invoke(coverage_command, ["--json"], standalone_mode=False)
    jobs = [each for each in json.loads(done.output)["unprotected"] if each["kind"] == "cron job"]
    assert {(each["path"], each["reason"].partition(":")[0]) for each in jobs} == {
        ("/etc/cron.d/own", "it starts /data/job.sh"),
        ("/etc/cron.daily/other", "it starts /data/job.sh"),
        ("/var/spool/cron/crontabs/app", "it names /data/list"),
    }
