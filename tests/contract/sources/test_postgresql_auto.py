"""What ALTER SYSTEM has set in a PostgreSQL cluster, and what else of its settings lies in its data directory: it is
collected, and in force in the cluster that a promotion makes or finds."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hotsync.errors import RestoreFailed
from hotsync.model.report import Verdict
from hotsync.sources.documents import FileRecord, PostgresqlCluster, load
from hotsync.sources.postgresql import source
from hotsync.sources.postgresql.cluster import ask, inspect_clusters, login_of, make_cluster
from hotsync.sources.postgresql.make import put_settings
from hotsync.sources.source import Context, Dataset
from hotsync.system import command
from hotsync.system.paths import Paths
from tests.contract.sources.observe import changed, seen
from tests.contract.sources.servers import PG_BIN, open_folder

pytestmark = pytest.mark.contract

NAME = "hotsyncauto"
INSTANCE = f"15-{NAME}"
LOG = Path(f"/var/log/postgresql/postgresql-15-{NAME}.log")


@dataclass
class Cluster:
    """A cluster as pg_createcluster makes one: its configuration in a folder of its own, its data elsewhere."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def configuration(self) -> Path:
        return self.folder / "conf/15" / NAME

    def dataset(self) -> Dataset:
        (found,) = inspect_clusters()
        assert found.fault == ""
        return found

    def sql(self, text: str, database: str = "") -> str:
        return ask(login_of(self.dataset()), text, database)

    def control(self, *words: str) -> None:
        environment = {"PG_CLUSTER_CONF_ROOT": str(self.folder / "conf")}
        command.run(["pg_ctlcluster", "--skip-systemctl-redirect", "15", NAME, *words], env=environment)

    def restart(self) -> None:
        # PostgreSQL's own, since pg_ctlcluster takes one whose port was set meanwhile for one that does not run
        command.run([str(PG_BIN / "pg_ctl"), "-D", str(self.data), "-w", "stop"], user="postgres", cwd="/")
        self.control("start")


@contextmanager
def cluster() -> Iterator[Cluster]:
    with open_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_CLUSTER_CONF_ROOT", str(folder / "conf"))
        made = Cluster(folder)
        made.configuration.mkdir(parents=True)
        settings = f"data_directory = '{made.data}'\nport = 5997\nunix_socket_directories = '{folder}'\n"
        (made.configuration / "postgresql.conf").write_text(f"{settings}listen_addresses = ''\nfsync = off\n")
        (made.configuration / "pg_hba.conf").write_text("local all all peer\nlocal replication all peer\n")
        own = f"hba_file = '{made.configuration}/pg_hba.conf'\n"
        with (made.configuration / "postgresql.conf").open("a") as conf:
            conf.write(own)
        command.run(["chown", "-R", "postgres:", str(folder)])
        try:
            yield made
        finally:
            command.run(
                ["pg_ctlcluster", "--skip-systemctl-redirect", "15", NAME, "--mode=immediate", "stop"],
                env={"PG_CLUSTER_CONF_ROOT": str(folder / "conf")}, ok=range(256),
            )  # fmt: skip
            LOG.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, postgresql_template: Path) -> tuple[Path, PostgresqlCluster]:
    """A cluster of a MASTER with settings of its own; what was collected of it."""
    context = Context(Paths(tmp_path_factory.mktemp("master")))
    context.paths.state.mkdir(parents=True)
    with cluster() as master:
        command.run(["cp", "--archive", str(postgresql_template), str(master.data)])
        master.control("start")
        master.sql("CREATE DATABASE shop")
        master.sql("CREATE TABLE t AS SELECT 1 AS a", "shop")
        for name, value in (("max_connections", "'37'"), ("password_encryption", "'md5'"), ("port", "5998")):
            master.sql(f"ALTER SYSTEM SET {name} = {value}")
        master.restart()
        (master.data / "more.conf").write_text("work_mem = '5MB'\n")
        with (master.configuration / "postgresql.conf").open("a") as conf:
            conf.write(f"include '{master.data}/more.conf'\n")
        os.symlink("/etc/ssl/certs/shop.pem", master.data / "server.crt")
        command.run(["chown", "-Rh", "postgres:", str(master.data)])
        master.sql("SELECT pg_reload_conf()")
        source.collect(context, master.dataset())
        before = seen(context.paths.spool)
        source.collect(context, master.dataset())
        assert changed(before, seen(context.paths.spool)) == set()
        folder = context.paths.spool / "postgresql" / INSTANCE
        return folder, load(folder / "cluster.json", PostgresqlCluster)


def test_what_alter_system_has_set_is_in_force_in_the_cluster_that_a_promotion_makes(
    collected: tuple[Path, PostgresqlCluster],
) -> None:
    folder, document = collected
    assert not [check for check in source.verify(folder) if check.verdict is not Verdict.GREEN]
    assert (document.place, document.unit, document.programs) == ("", "", "")
    assert {each.file for each in document.configuration} == {"settings/more.conf", "settings/postgresql.auto.conf"}
    assert document.links == (("server.crt", "/etc/ssl/certs/shop.pem"),)
    with cluster() as here:
        make_cluster(document, INSTANCE)
        for _ in range(2):
            put_settings(folder, document, INSTANCE)
        assert os.readlink(here.data / "server.crt") == "/etc/ssl/certs/shop.pem"
        status = (here.data / "postgresql.auto.conf").stat()
        assert (status.st_uid, status.st_mode & 0o777) == (pwd.getpwnam("postgres").pw_uid, 0o600)
        here.control("start")
        assert here.dataset().port == 5998
        assert source.restore(folder, here.dataset()) == document.digest
        said = [here.sql(f"SHOW {name}") for name in ("max_connections", "password_encryption")]
        assert said == ["37", "md5"]
        assert here.sql("SELECT a FROM t", "shop") == "1"


def test_a_load_waits_for_no_standby_that_the_masters_settings_name(
    collected: tuple[Path, PostgresqlCluster],
) -> None:
    folder, document = collected
    with cluster() as here:
        make_cluster(document, INSTANCE)
        with (here.configuration / "postgresql.conf").open("a") as conf:
            conf.write("synchronous_standby_names = 'elsewhere'\n")
        here.control("start")
        assert source.restore(folder, here.dataset()) == document.digest
        assert here.sql("SHOW synchronous_standby_names") == "elsewhere"
        assert here.sql("SELECT a FROM t", "shop") == "1"


def test_what_this_server_had_set_itself_stays_beside(
    collected: tuple[Path, PostgresqlCluster],
) -> None:
    folder, document = collected
    with cluster() as here:
        make_cluster(document, INSTANCE)
        (here.data / "postgresql.auto.conf").write_text("work_mem = '9MB'\n")
        put_settings(folder, document, INSTANCE)
        assert (here.data / "postgresql.auto.conf.hotsync-before").read_text() == "work_mem = '9MB'\n"
        assert "max_connections = '37'" in (here.data / "postgresql.auto.conf").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: replace(d, configuration=(FileRecord("settings/PG_VERSION", 1, "0" * 64),)), "is no file of setti"),
        (lambda d: replace(d, links=(("base/1", "/etc/passwd"),)), "is no file of settings"),
        (lambda d: replace(d, configuration=(replace(d.configuration[0], sha256="0" * 64),)), "not what was collected"),
    ],
)
def test_what_is_no_file_of_settings_is_not_put_into_a_data_directory(
    collected: tuple[Path, PostgresqlCluster],
    change: Callable[[PostgresqlCluster], PostgresqlCluster],
    said: str,
) -> None:
    folder, document = collected
    with cluster() as here:
        make_cluster(document, INSTANCE)
        before = seen(here.data)
        with pytest.raises(RestoreFailed, match=said):
            put_settings(folder, change(document), INSTANCE)
        assert changed(before, seen(here.data)) == set()
