"""A directory server, Redis servers, an XMPP server, a PostgreSQL server that initdb made, and a mail queue, in
production after the MASTER died."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab import Host, Lab, image, repository
from tests.lab.conftest import MASTER, SLAVE, configure, own_name, status, sync, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

PACKAGES = ("slapd", "ldap-utils", "redis-server", "ejabberd", "postfix", "postgresql-15")
UNITS = (
    "slapd.service", "redis-server.service", "redis-server@log.service", "ejabberd.service", "postfix.service",
    "pg-shop.service", "postgresql@15-main.service",
)  # fmt: skip

INSTALL = """
set -eu
export DEBIAN_FRONTEND=noninteractive
debconf-set-selections <<END
slapd slapd/domain string lab.example
postfix postfix/main_mailer_type select Internet with smarthost
postfix postfix/mailname string lab.example
postfix postfix/relayhost string [10.77.0.100]
END
apt-get -q update
apt-get -qy install --no-install-recommends PACKAGES
"""
SHOP = "runuser -u postgres -- psql -XAtq -h /run/shop -p 5444 -c"
FILL = """
set -eu
ldapmodify -Q -Y EXTERNAL -H ldapi:/// <<END
dn: olcDatabase={1}mdb,cn=config
changetype: modify
replace: olcRootPW
olcRootPW: secret
END
ldapadd -x -D cn=admin,dc=lab,dc=example -w secret -H ldapi:/// <<END
dn: ou=people,dc=lab,dc=example
objectClass: organizationalUnit
ou: people

dn: uid=anna,ou=people,dc=lab,dc=example
objectClass: inetOrgPerson
uid: anna
cn: Anna
sn: A
userPassword: annas
END
install -o redis -g redis -m 0640 /etc/redis/redis.conf /etc/redis/redis-log.conf
install -d -o redis -g redis -m 0750 /var/lib/redis-log
sed -i -e 's|^port .*|port 6380|' -e 's|^dir .*|dir /var/lib/redis-log|' -e 's|^appendonly .*|appendonly yes|' \
    -e 's|^pidfile .*|pidfile /run/redis-log/redis-server.pid|' -e 's|^logfile .*|logfile ""|' /etc/redis/redis-log.conf
echo 'requirepass word' >>/etc/redis/redis-log.conf
mkdir -p /etc/systemd/system/redis-server@log.service.d
printf '[Service]\\nReadWritePaths=-/var/lib/redis-log\\n' >/etc/systemd/system/redis-server@log.service.d/dir.conf
systemctl daemon-reload
systemctl enable -q --now redis-server@log
redis-cli set fruit apple
REDISCLI_AUTH=word redis-cli -p 6380 set fruit pear
install -d -o postgres -g postgres -m 0755 /srv/shop
runuser -u postgres -- /usr/lib/postgresql/15/bin/initdb -D /srv/shop/data -A peer --data-checksums >/dev/null
cat >>/srv/shop/data/postgresql.conf <<END
port = 5444
listen_addresses = ''
unix_socket_directories = '/run/shop'
include_dir = 'conf.d'
END
install -d -o postgres -g postgres -m 0700 /srv/shop/data/conf.d
echo "work_mem = '5MB'" >/srv/shop/data/conf.d/own.conf
cat >/etc/systemd/system/pg-shop.service <<END
[Unit]
Description=The shop's database
[Service]
Type=notify
User=postgres
RuntimeDirectory=shop
ExecStart=/usr/lib/postgresql/15/bin/postgres -D /srv/shop/data
KillSignal=SIGINT
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable -q --now pg-shop
SHOP "CREATE ROLE anna LOGIN; CREATE TABLE fruit (name text); INSERT INTO fruit VALUES ('apple')"
runuser -u postgres -- psql -qc "CREATE TABLE fruit (name text); INSERT INTO fruit VALUES ('quince')"
ejabberdctl started
ejabberdctl register anna localhost annas
postconf -e defer_transports=smtp
postfix reload
printf 'Subject: waits\\n\\nbody\\n' | sendmail -f root somebody@elsewhere.example
until mailq | grep -q somebody@elsewhere.example; do sleep 0.2; done
sync
config setprop hotsync MailQueue yes
"""
LATER = """
redis-cli set fruit later; REDISCLI_AUTH=word redis-cli -p 6380 set fruit later
ejabberdctl register later localhost x
SHOP "UPDATE fruit SET name = 'later'"; sync
"""


def check_production(host: Host) -> None:
    """What was there at the last run is there, and what came later is not."""
    bind = ["-D", "uid=anna,ou=people,dc=lab,dc=example", "-w", "annas"]
    who = host.run(["ldapwhoami", "-x", "-H", "ldapi:///", *bind])
    assert "uid=anna" in who.stdout
    assert host.run("redis-cli get fruit").stdout == "apple\n"
    assert host.run("REDISCLI_AUTH=word redis-cli -p 6380 get fruit").stdout == "pear\n"
    assert host.run(f"{SHOP} 'SELECT name FROM fruit' -c 'SHOW work_mem'").stdout.split() == ["apple", "5MB"]
    assert host.run("runuser -u postgres -- psql -XAtqc 'SELECT name FROM fruit'").stdout == "quince\n"
    modes = host.run("stat -c '%a %U' /srv/shop/data /srv/shop/data/conf.d/own.conf").stdout
    assert modes == "700 postgres\n600 postgres\n"
    assert host.run(["ejabberdctl", "registered_users", "localhost"]).stdout.split() == ["anna"]
    host.run(["ejabberdctl", "check_password", "anna", "localhost", "annas"])
    assert "somebody@elsewhere.example" in host.run(["mailq"]).stdout
    active = host.run(["systemctl", "is-active", *UNITS], check=False).stdout.split()
    assert dict(zip(UNITS, active, strict=True)) == dict.fromkeys(UNITS, "active")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A MASTER with these servers alone and its SLAVE, one generation, hotsync-slave."""
    repository.fetch(PACKAGES, image.bare_status())
    lab = Lab.up(name=own_name("engines"), bare=True)
    try:
        lab.master.run(["bash", "-c", INSTALL.replace("PACKAGES", " ".join(PACKAGES))], timeout=600)
        configure(lab.slave, "slave", "MasterHost", MASTER)
        configure(lab.master, "master", "SlaveHost", SLAVE)
        lab.master.run(["bash", "-c", FILL.replace("SHOP", SHOP)], timeout=300)
        lab.master.run("systemctl stop hotsync.timer; systemctl disable -q hotsync.timer")
        lab.slave.run("systemctl disable -q --now hotsync-slave.timer hotsync-drill.timer")
        assert sync(lab)["exit_code"] in (0, 1)
        made_ready = lab.slave.run(["hotsync-slave"], check=False, timeout=900)
        assert made_ready.returncode in (0, 1), made_ready.stdout + made_ready.stderr
        yield lab
    finally:
        lab.down()


def test_the_servers_are_collected_wait_silently_and_are_in_production_after_a_promotion(lab: Lab) -> None:
    shown = status(lab.master)
    collected = {point["name"] for point in shown["generation"]["datasets"]}
    assert {"openldap/slapd", "redis/redis-server", "redis/redis-server%40log", "ejabberd/ejabberd"} <= collected
    assert {"postgresql/15-main/postgres", "postgresql/15-pg-shop/postgres"} <= collected
    listed = "cd /var/lib/hotsync/spool; find openldap redis ejabberd -printf '%p %i %C@\\n' | sort"
    before = lab.master.run(listed).stdout
    sync(lab)
    assert lab.master.run(listed).stdout == before, "nothing changed in any of them"
    running = lab.slave.run("ps -eo comm=").stdout.split()
    assert {"slapd", "redis-server", "beam.smp", "postgres"}.isdisjoint(running)
    lab.master.run(["bash", "-c", LATER.replace("SHOP", SHOP)])
    lab.master.kill()
    done = lab.slave.run(["hotsync-promote", "--yes", "--json", "--network", "1"], check=False, timeout=900)
    document = json.loads(done.stdout)
    assert done.returncode in (0, 1), document
    verdicts = {check["name"]: check["verdict"] for check in document["checks"]}
    names = ("openldap.ldap.1", "redis.redis.1", "ejabberd.ejabberd.1", "postfix.smtp.1", "postgresql.postgresql.1")
    assert {name: verdicts[name] for name in names} == dict.fromkeys(names, "green")
    loaded = [step["key"] for step in document["steps"] if step["key"].startswith("databases.load")]
    assert len([key for key in loaded if ":mariadb/" not in key and ":postgresql/" not in key]) == 4
    assert len([key for key in loaded if ":postgresql/" in key]) == 2
    check_production(lab.slave)
    lab.slave.kill()
    lab.slave.boot()
    wait_for(lab.slave, "ejabberdctl status")
    check_production(lab.slave)
