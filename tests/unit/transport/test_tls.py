from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from hotsync.errors import ConfigError, NotTrusted
from hotsync.system.paths import Paths
from hotsync.transport.tls import fingerprint_of, load_identity, refused_certificate


def test_an_identity_is_made_once_and_kept(tmp_path: Path) -> None:
    first = load_identity(Paths(tmp_path))
    assert load_identity(Paths(tmp_path)) == first
    assert first.file.stat().st_mode & 0o777 == 0o600
    assert first.file.parent.stat().st_mode & 0o777 == 0o700
    assert "PRIVATE" not in first.certificate


def test_two_servers_have_two_identities(tmp_path: Path) -> None:
    assert load_identity(Paths(tmp_path / "a")).fingerprint != load_identity(Paths(tmp_path / "b")).fingerprint


def test_no_clock_can_be_outside_the_certificates_time(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(load_identity(Paths(tmp_path)).certificate.encode())
    assert (certificate.not_valid_before_utc.year, certificate.not_valid_after_utc.year) == (2000, 9999)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_identity_is_named_and_never_replaced(tmp_path: Path, content: str) -> None:
    file = load_identity(Paths(tmp_path)).file
    file.write_text(content)
    with pytest.raises(ConfigError) as damaged:
        load_identity(Paths(tmp_path))
    assert str(file) in damaged.value.sentence
    assert file.read_text() == content


def test_the_fingerprint_is_the_same_from_pem_and_der(tmp_path: Path) -> None:
    identity = load_identity(Paths(tmp_path))
    assert fingerprint_of(ssl.PEM_cert_to_DER_cert(identity.certificate)) == identity.fingerprint


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_has_no_fingerprint(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        fingerprint_of(text)


def test_a_certificate_with_anything_after_it_has_no_fingerprint(tmp_path: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(load_identity(Paths(tmp_path)).certificate)
    for more in (b"\0", b"x", der):
        with pytest.raises(ValueError, match="no certificate"):
            fingerprint_of(der + more)
    with pytest.raises(ValueError, match="no certificate"):
        fingerprint_of(der[:-1])


def test_an_alert_about_our_certificate_is_told_from_other_trouble(tmp_path: Path) -> None:
    identity = load_identity(Paths(tmp_path))
    alert = ssl.SSLError(1, "[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca")
    alert.reason = "TLSV1_ALERT_UNKNOWN_CA"
    other = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]")
    other.reason = "WRONG_VERSION_NUMBER"
    assert isinstance(refused_certificate(alert, "a", identity), NotTrusted)
    assert refused_certificate(other, "a", identity) is None
    assert refused_certificate(alert, "a", None) is None
