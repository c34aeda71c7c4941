"""The packages that the original's manual says are supported, in its order."""

PACKAGES = tuple(
    f"nethserver-{name}"
    for name in (
        "antivirus", "backup-config", "backup-data", "base", "c-icap", "cockpit", "collectd", "cups", "dante", "dc",
        "dedalo", "directory", "dnsmasq", "duc", "ejabberd", "evebox", "fail2ban", "firewall-base", "freepbx", "httpd",
        "hylafax", "iaxmodem", "ipsec-tunnels", "janus", "letsencrypt", "lightsquid", "mail", "mattermost", "mysql",
        "ndpi", "netdata", "nextcloud", "ntopng", "nut", "openssh", "openvpn", "pulledpork", "restore-data",
        "roundcubemail", "samba", "samba-audit", "squid", "squidclamav", "squidguard", "sssd", "subscription",
        "suricata", "vpn-ui", "vsftpd", "webtop5",
    )
)  # fmt: skip
