"""Certificates and keys that something uses, or that are private, are told where nothing protects them."""

from __future__ import annotations

import pytest

from hotsync.model.coverage.certificates import CertificateSeen, certificate_findings, holds_private_key, named_in
from hotsync.model.coverage.judge import Judge
from hotsync.model.explain import Mounted
from hotsync.model.selection import Selection

JUDGE = Judge(Selection([]), Mounted({}), {"/usr/share/ca/ca.crt"})


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        (b"ssl_certificate_key /data/tls/a.key;", {"/data/tls/a.key"}),
        (b"ssl_cert = </etc/dovecot/a.pem", {"/etc/dovecot/a.pem"}),
        (b"smtpd_tls_chain_files=/a/b.pem,/a/c.pem", {"/a/b.pem", "/a/c.pem"}),
        (b'SSLCertificateFile "/data/a b.crt"', set[str]()),
        (b"  # cert /data/a.crt", set[str]()),
        (b"https://example.org/ca.crt", set[str]()),
        (b"tls.pem /data/a.pem.bak", set[str]()),
    ],
)
def test_settings_name_certificates(line: bytes, paths: set[str]) -> None:
    assert named_in(line) == paths


@pytest.mark.parametrize(
    ("path", "head", "private"),
    [
        ("/a.pem", b"text\n-----BEGIN RSA PRIVATE KEY-----\n", True),
        ("/a.key", b"-----BEGIN PRIVATE KEY-----\n", True),
        ("/a.P12", b"0\x82", True),
        ("/a.pem", b"-----BEGIN CERTIFICATE-----\n", False),
        ("/a.key", b"-----BEGIN PUBLIC KEY-----\n", False),
    ],
)
def test_a_private_key_is_known_by_how_it_begins(path: str, head: bytes, private: bool) -> None:
    assert holds_private_key(path, head) is private


def test_what_nobody_uses_and_is_not_private_is_no_concern() -> None:
    seen = [
        CertificateSeen("/data/used.crt", ("/etc/a.conf",)),
        CertificateSeen("/data/private.key", (), True),
        CertificateSeen("/data/lying.crt"),
        CertificateSeen("/usr/share/ca/ca.crt", ("/etc/a.conf",)),
        CertificateSeen("/var/cache/used.crt", ("/etc/a.conf",)),
        CertificateSeen("/var/cache/private.key", (), True),
    ]
    found = certificate_findings(seen, JUDGE)
    assert [finding.name for finding in found] == ["/data/private.key", "/data/used.crt", "/var/cache/used.crt"]
