"""Faults from which a promotion would fail, each with the check of a drill that says so, and a word of its reason."""

from __future__ import annotations

from typing import NamedTuple

from tests.lab.conftest import TREE

MARIADB = f"{TREE}/var/lib/hotsync/spool/mariadb/default"
HTTP_UNIT = "[Service]\\nExecStart=/usr/bin/python3 -m http.server 80\\n[Install]\\nWantedBy=multi-user.target\\n"
EXPIRED = """
/usr/lib/hotsync/venv/bin/python - <<'END'
from datetime import datetime, timedelta, UTC
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(65537, 2048)
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "master")])
now = datetime.now(UTC)
made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    .serial_number(7).not_valid_before(now - timedelta(days=30)).not_valid_after(now - timedelta(days=1))
    .sign(key, hashes.SHA256()))
Path("/etc/dovecot/old.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM)
    + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
Path("/etc/dovecot/conf.d/99-old.conf").write_text("ssl = yes\\nssl_cert = </etc/dovecot/old.pem\\n"
    "ssl_key = </etc/dovecot/old.pem\\n")
END
"""


class Fault(NamedTuple):
    """Where it is planted (what is planted on the MASTER arrives with the next generation), how, and what must be said:
    the check that turns red, and a word of its reason."""

    on: str
    plant: str
    check: str
    word: str


def _document(change: str) -> str:
    """Return the line that changes what the replica tells of the MariaDB server, by a Python statement about `d`."""
    path = f"{MARIADB}/instance.json"
    code = f"import json; p = '{path}'; d = json.load(open(p)); {change}; json.dump(d, open(p, 'w'))"
    return f'python3 -c "{code}"'


UNITS, DONE, REPLICA = "production.units", "promotion.done", "replica"
FAULTS = {
    # the replica
    "a truncated dump": Fault("slave", f"truncate -s -40 {MARIADB}/*shop*", REPLICA, "shop"),
    "a dump that is gone": Fault("slave", f"rm {MARIADB}/*shop*", REPLICA, "shop"),
    "a wrong owner": Fault("slave", f"chown 4242 {TREE}/srv/share/hello", REPLICA, "srv/share/hello"),
    "a missing file": Fault("slave", f"rm {TREE}/var/www/html/index.html", REPLICA, "index.html"),
    "a damaged document": Fault("slave", f"echo x >{MARIADB}/instance.json", "host.data.dumps", "instance.json"),
    "no accounts": Fault("slave", f"rm {TREE}/etc/passwd", "host.data.configuration", "/etc"),
    # the databases
    "a missing table": Fault(
        "slave", _document("d['databases'][0]['tables'].append(['ghost', 3])"), "rows.mariadb/default", "ghost"
    ),
    "missing rows": Fault(
        "slave", _document("d['databases'][0]['tables'][0][1] = 7"), "rows.mariadb/default", "2 rows, the generation 7"
    ),
    # services
    "a web server that cannot start": Fault("master", "echo Nonsense >>/etc/apache2/apache2.conf", UNITS, "apache2"),
    "a database server that cannot start": Fault(
        "master", "printf '[mysqld]\\nnonsense=1\\n' >/etc/mysql/mariadb.conf.d/99-x.cnf", DONE, "mariadb"
    ),
    "a file server that cannot start": Fault(
        "master", "sed -i 's,^\\[global\\],[global]\\nprivate dir = /proc/nowhere,' /etc/samba/smb.conf", UNITS, "smbd"
    ),
    "a mail server that cannot start": Fault(
        "master", "echo 'inet_interfaces = 203.0.113.7' >>/etc/postfix/main.cf", UNITS, "postfix"
    ),
    "a mailbox server that cannot start": Fault(
        "master", "echo 'nonsense {' >>/etc/dovecot/dovecot.conf", UNITS, "dovecot"
    ),
    "a port that is taken": Fault(
        "slave",
        f"printf '{HTTP_UNIT}' >/etc/systemd/system/own-web.service; systemctl enable -q own-web",
        UNITS,
        "apache2",
    ),
    "an expired certificate": Fault("master", EXPIRED, "client.certificate.993", "expired on"),
    "an absent package": Fault("slave", "dpkg --purge --force-all dovecot-imapd dovecot-core", UNITS, "dovecot"),
    "an absent database server": Fault(
        "slave",
        "DEBIAN_FRONTEND=noninteractive dpkg --purge --force-all postgresql-15",
        "host.data.servers",
        "postgresql",
    ),
    # people
    "a missing user": Fault("master", "userdel anna", "client.dovecot.imap.1", "uthenticat"),
    "a wrong password": Fault(
        "slave", "config setprop hotsync CheckPassword wrong", "client.dovecot.imap.1", "uthenticat"
    ),
    # this server
    "a full disk": Fault(
        "slave",
        "fallocate -l $(($(df --output=avail -B1 /var/lib/hotsync | tail -1) - 400000000)) /var/fill",
        "drill.ran",
        "a drill needs",
    ),
    "an immutable folder": Fault("slave", "mkdir -p /srv; chattr +i /srv", "host.data.immutable", "/srv"),
    "a mount in the way": Fault(
        "slave",
        "mkdir -p /srv/share; touch /srv/share/hello; mount --bind /etc/hostname /srv/share/hello",
        "host.data.blocked",
        "hello",
    ),
    # the network
    "a card that is not here": Fault("master", "sed -i s/eth0/eth7/ /etc/network/interfaces", DONE, "eth7"),
    "a wrong mapping": Fault(
        "slave",
        "ip link add eth1 type veth peer name far; ip link set eth1 up; ip link set far up;"
        """ echo '{"schema": 1, "cards": [["eth0", "eth1"]]}' >/var/lib/hotsync/cards.json""",
        "host.network.wires",
        "would come to eth1",
    ),
    "a mapping to nowhere": Fault(
        "slave",
        """echo '{"schema": 1, "cards": [["eth0", ""]]}' >/var/lib/hotsync/cards.json""",
        "host.network.wires",
        "none of them is taken",
    ),
}
"""By name."""
