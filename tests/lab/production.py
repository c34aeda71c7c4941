"""A MASTER with applications and its SLAVE, ready to be promoted, for the tests that promote it."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import Any

from lab import Host, Lab
from tests.lab.conftest import configure_pair, prepared_lab, sync

APPLICATIONS = """
set -eu
mysql -e "create database shop; create table shop.orders (id int primary key, what text);
    insert into shop.orders values (1,'apples'),(2,'pears');
    create user 'web'@'localhost' identified by 'x'; grant all on shop.* to 'web'@'localhost'"
cd /; su postgres -c "psql -q -c \\"create role app login password 'y'\\" -c 'create database app owner app'"
su postgres -c "psql -q app -c 'create table t (i int); insert into t values (7)'"
useradd -m -s /bin/bash anna
mkdir -p /srv/share; echo hello >/srv/share/hello; setfacl -m u:anna:rwx /srv/share
touch /srv/share/fixed; chattr +i /srv/share/fixed
echo page of the master >/var/www/html/index.html
"""
OWN = """
echo "of the slave" >/etc/only-here.conf; mkdir -p /home/boss; echo "boss's" >/home/boss/notes
sync
"""


def make_ready(lab: Lab) -> None:
    """Applications on the MASTER, the manual's configuration, one generation, hotsync-slave."""
    lab.master.run(["bash", "-c", APPLICATIONS])
    configure_pair(lab)
    record = sync(lab)
    assert record["exit_code"] in (0, 1), record
    lab.slave.run(OWN)
    made_ready = lab.slave.run(["hotsync-slave"], check=False, timeout=900)
    assert made_ready.returncode in (0, 1), made_ready.stdout + made_ready.stderr
    lab.slave.run(["sync"])


def ready_lab(name: str) -> AbstractContextManager[Lab]:
    """A MASTER with applications and its SLAVE, one generation, saved as `ready`, and as `dead` with the MASTER off."""
    return prepared_lab(name, "dead", _ready)


def _ready(lab: Lab) -> None:
    make_ready(lab)
    lab.save("ready")
    lab.master.kill()
    lab.save("dead")


def switch_off(lab: Lab) -> None:
    """Let a lab that nobody needs for now take nothing from the others; a revert switches it on again."""
    for host in lab.hosts:
        if host.on:
            host.stop_at_once()


def promote(host: Host, *options: str) -> tuple[int, dict[str, Any], str]:
    """Run hotsync-promote; return exit code, document, and what it said beside it."""
    done = host.run(["hotsync-promote", "--yes", "--json", *options], check=False, timeout=600)
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}, done.stderr
