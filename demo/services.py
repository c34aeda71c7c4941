"""Sets up, on the MASTER, what a small organisation runs: mail, files, two databases, a web site, people."""

from __future__ import annotations

from lab import Host

PEOPLE = ("anna", "bruno", "carla")
CHECKER = "checks"  # the account that a promotion's checks log in with
PASSWORD = "Demo-2026"  # of everybody, in the demo only
DOMAIN = "lab.example"

_DOVECOT = """
protocols = imap
mail_location = maildir:~/Maildir
ssl = required
disable_plaintext_auth = yes
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
"""
_SAMBA = """
[global]
   workgroup = LAB
   server string = files
   security = user
   map to guest = never
   vfs objects = acl_xattr
   map acl inherit = yes
   store dos attributes = yes
   log file = /var/log/samba/log.%m
[projects]
   path = /srv/projects
   read only = no
   valid users = @staff
"""
_PG_HBA = "\nhost all app 10.77.0.0/24 scram-sha-256\n"


def set_up(master: Host) -> None:
    """Given the MASTER with its applications installed, configure them and make the people's accounts."""
    for person in (*PEOPLE, CHECKER):
        master.run(["useradd", "--create-home", "--groups", "staff", "--shell", "/bin/bash", person])
        master.run(["chpasswd"], input=f"{person}:{PASSWORD}\n")
        master.run(["smbpasswd", "-a", "-s", person], input=f"{PASSWORD}\n{PASSWORD}\n")
    _mail(master)
    _files(master)
    _databases(master)
    _web(master)
    master.write("/etc/cron.d/demo", "* * * * * root date >>/srv/cron-was-here\n")
    master.run("systemctl restart postfix dovecot smbd nmbd mariadb postgresql apache2 cron")


def set_check_account(slave: Host) -> None:
    """Given the SLAVE, tell it the account that its checks log in with, as the manual says."""
    slave.run(["config", "setprop", "hotsync", "CheckUser", CHECKER, "CheckPassword", PASSWORD])


def _mail(master: Host) -> None:
    master.write("/etc/dovecot/conf.d/99-demo.conf", _DOVECOT)
    for setting in (
        f"mydestination = $myhostname, {DOMAIN}, localhost",
        f"myorigin = {DOMAIN}",
        "mynetworks = 127.0.0.0/8",
        "inet_interfaces = all",
        "home_mailbox = Maildir/",
        "relayhost = [10.77.0.100]",
        "smtpd_sasl_type = dovecot",
        "smtpd_sasl_path = private/auth",
        "smtpd_tls_auth_only = yes",
        "smtpd_tls_security_level = may",
    ):
        master.run(["postconf", "-e", setting])
    master.run(["postconf", "-M", "submission/inet=submission inet n - y - - smtpd"])
    for option in ("smtpd_sasl_auth_enable=yes", "smtpd_tls_security_level=encrypt"):
        master.run(["postconf", "-P", f"submission/inet/{option}"])


def _files(master: Host) -> None:
    master.write("/etc/samba/smb.conf", _SAMBA)
    master.run("mkdir -p /srv/projects && chgrp staff /srv/projects && chmod 2770 /srv/projects")
    master.run("setfacl -m u:carla:rwx -m d:g:staff:rwx -m d:u:carla:r-x /srv/projects")


def _databases(master: Host) -> None:
    master.write("/etc/mysql/mariadb.conf.d/99-demo.cnf", "[mysqld]\nbind-address = 0.0.0.0\n")
    master.run(
        ["mariadb"],
        input=f"""
        CREATE DATABASE shop;
        CREATE TABLE shop.orders (id BIGINT PRIMARY KEY, item VARCHAR(80), placed TIMESTAMP(6) DEFAULT NOW(6));
        CREATE VIEW shop.newest AS SELECT * FROM shop.orders ORDER BY id DESC LIMIT 10;
        CREATE USER 'app'@'10.77.0.%' IDENTIFIED BY '{PASSWORD}';
        GRANT ALL ON shop.* TO 'app'@'10.77.0.%';
        """,
    )
    cluster = "/etc/postgresql/15/main"
    master.run(f"echo \"listen_addresses = '*'\" >{cluster}/conf.d/demo.conf")
    master.write(f"{cluster}/pg_hba.conf", master.read(f"{cluster}/pg_hba.conf") + _PG_HBA, 0o640)
    master.run(f"chown postgres:postgres {cluster}/pg_hba.conf {cluster}/conf.d/demo.conf")
    master.run("systemctl restart postgresql@15-main")
    master.run(
        ["runuser", "-u", "postgres", "--", "psql", "-X", "-v", "ON_ERROR_STOP=1"],
        input=f"""
        CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';
        CREATE DATABASE ledger OWNER app;
        \\connect ledger app
        """.replace("\\connect ledger app", "\\connect ledger")
        + "CREATE TABLE entry (id BIGINT PRIMARY KEY, note TEXT, at TIMESTAMPTZ DEFAULT clock_timestamp());"
        + "ALTER TABLE entry OWNER TO app;",
    )


def _web(master: Host) -> None:
    master.run("rm -f /var/www/html/index.html && mkdir -p /var/www/html/news")
    master.write("/var/www/html/index.html", "<h1>Welcome to lab.example</h1>\n")
