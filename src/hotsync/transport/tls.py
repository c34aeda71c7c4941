"""This server's key and certificate, and TLS connections that trust one pinned certificate and nothing else.

Certificates are checked by fingerprint only. They are valid from 2000 to 9999 and the time check is off besides, so
that a wrong clock is named by a message instead of hiding behind "bad certificate".
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hotsync.errors import (
    ConfigError,
    ConnectionEnded,
    NotPaired,
    NotTrusted,
    PeerSilent,
    PeerUnreachable,
    ProtocolError,
    WrongPeer,
)
from hotsync.system.files import write_atomic
from hotsync.system.lock import held
from hotsync.system.paths import Paths

_VALID_FROM = datetime(2000, 1, 1, tzinfo=UTC)
_VALID_UNTIL = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which Python does not name
_PARTIAL_CHAIN = 0x80000  # X509_V_FLAG_PARTIAL_CHAIN: the pinned certificate is an anchor although it is no authority
_DRAIN_SECONDS = 2.0
_DRAIN_LONGEST = 10.0
HANDSHAKE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """This server's certificate (PEM), its SHA-256 fingerprint, and the file that holds it together with its key."""

    certificate: str
    fingerprint: str
    file: Path


def fingerprint_of(certificate: str | bytes) -> str:
    """Given a certificate as PEM or DER, return its SHA-256 fingerprint in hex; raise ValueError if it is none."""
    der = ssl.PEM_cert_to_DER_cert(certificate) if isinstance(certificate, str) else certificate
    if not _is_certificate(der):
        raise ValueError("it is no certificate")
    return hashlib.sha256(der).hexdigest()


def _is_certificate(der: bytes) -> bool:
    """Say whether these bytes are one certificate, and nothing besides."""
    if der[:2] != b"\x30\x82" or len(der) != 4 + int.from_bytes(der[2:4]):
        return False  # no sequence, or not of this length: OpenSSL would not mind what comes after it
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except ssl.SSLError:
        return False
    return True


def load_identity(paths: Paths) -> Identity:
    """Given a host, return its identity, made at first need; raise ConfigError if what is kept cannot be used."""
    file = paths.tls / "identity.pem"
    if not file.exists():
        # a damaged file is never replaced: that would end the pairing without a word
        with held(paths.run / "identity.lock", "use of the key", wait=True):
            if not file.exists():
                paths.tls.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomic(file, _make_identity(), mode=0o600)
    try:
        text = file.read_text("ascii")
        certificate = text[text.index("-----BEGIN CERTIFICATE-----") :]
        identity = Identity(certificate, fingerprint_of(certificate), file)
        _context(server=False, identity=identity)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise ConfigError(
            document=str(file),
            faults=f"key and certificate cannot be read ({error})",
            hint=f"Restore {file} from a backup; or remove it and pair anew with `hotsync pair --forget` on both.",
        ) from error
    return identity


def _make_identity() -> bytes:
    # once in a server's life: no other run pays for loading it
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hotsync")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def _context(*, server: bool, identity: Identity | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _Secured
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if not server:
        context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.verify_flags = ssl.VerifyFlags(int(context.verify_flags) | _NO_CHECK_TIME | _PARTIAL_CHAIN)
    if identity is not None:
        context.load_cert_chain(identity.file)
    return context


def accept_tls(
    raw: socket.socket, identity: Identity, pinned: str, address: str, timeout: float = HANDSHAKE_SECONDS
) -> tuple[ssl.SSLSocket, bool]:
    """Given an accepted socket and the pinned certificate (PEM, "" = none), return the TLS side and if it is the peer.

    A dialler that shows no certificate comes through as False, for pairing only; one that shows another than the
    pinned one raises WrongPeer; one that speaks no TLS 1.3 raises ProtocolError; one that only looked whether somebody
    listens raises ConnectionEnded. The socket is closed when it raises.
    """
    context = _context(server=True, identity=identity)
    context.num_tickets = 0  # an unread ticket turns a dialler's close into a reset that eats our last words
    if pinned:
        context.load_verify_locations(cadata=pinned)
        context.verify_mode = ssl.CERT_OPTIONAL
    try:
        secured = _wrapped(context, raw, server=True)
        _handshake(secured, timeout)
    except ssl.SSLCertVerificationError as error:
        # which one it was, Python does not tell; the dialler names it in its own error
        raise WrongPeer(address=address, seen="an unknown one", pinned=fingerprint_of(pinned)) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError) as error:
        raise ConnectionEnded(reason="it hung up before the connection was secured") from error
    except OSError as error:
        raise ProtocolError(reason=f"no TLS 1.3 was agreed on ({error})") from error
    shown = secured.getpeercert(binary_form=True)
    if shown is None:
        return secured, False
    if fingerprint_of(shown) != fingerprint_of(pinned):  # the context let nothing else through; said twice on purpose
        secured.close()
        raise WrongPeer(address=address, seen=fingerprint_of(shown), pinned=fingerprint_of(pinned))
    return secured, True


def connect_tls(
    raw: socket.socket, address: str, port: int, identity: Identity | None, timeout: float = HANDSHAKE_SECONDS
) -> tuple[ssl.SSLSocket, str]:
    """Given a connected socket, return the TLS side and the certificate that the listener proved to hold (PEM).

    `identity` None shows no certificate (pairing). The caller compares fingerprints before it believes anything.
    """
    context = _context(server=False, identity=identity)
    try:
        secured = _wrapped(context, raw, server=False)
        _handshake(secured, timeout)
    except OSError as error:
        raise PeerUnreachable(
            address=address,
            port=port,
            reason=f"it hung up before the connection was secured ({error})",
            hint="Is this server's address set there as MasterHost (or SlaveHost)? Its log names whom it turns away.",
        ) from error
    shown = secured.getpeercert(binary_form=True)
    if shown is None:  # a TLS 1.3 listener always shows one
        secured.close()
        raise NotPaired(address=address)
    return secured, ssl.DER_cert_to_PEM_cert(shown)


class _Secured(ssl.SSLSocket):
    """A TLS side that closes where its other end turns out to be gone.

    The library asks for the other end while it makes one: of what was reset by then it would leave one open that nobody
    else can close.
    """

    def getpeername(self) -> Any:
        """Return the other end's address; raise ConnectionResetError, and be closed, if there is none any more."""
        try:
            return super().getpeername()
        except OSError as error:
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)) from error


def _wrapped(context: ssl.SSLContext, raw: socket.socket, *, server: bool) -> ssl.SSLSocket:
    """Return the TLS side of a socket; raise OSError, with the socket closed, if it was reset already."""
    try:
        return context.wrap_socket(raw, server_side=server, do_handshake_on_connect=False)
    except OSError:
        raw.close()
        raise


def _handshake(secured: ssl.SSLSocket, timeout: float) -> None:
    """Secure a connection; raise PeerSilent, or the OSError that ended it after the alert has gone out."""
    try:
        secured.settimeout(timeout)
        secured.do_handshake()
    except TimeoutError:
        secured.close()
        raise PeerSilent(seconds=round(timeout), phase="the connection was secured") from None
    except OSError:
        drain(secured)
        raise


def refused_certificate(error: ssl.SSLError, address: str, identity: Identity | None) -> NotTrusted | None:
    """Given a TLS error after the handshake, return the error that says that the listener refused our certificate.

    With TLS 1.3 the dialler's handshake is over before the listener has judged its certificate.
    """
    reasons = ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "CERTIFICATE_REQUIRED", "ACCESS_DENIED")
    if identity is None or not any(reason in (error.reason or "").upper() for reason in reasons):
        return None
    return NotTrusted(address=address, ours=identity.fingerprint)


def drain(secured: ssl.SSLSocket) -> None:
    """Close a connection whose handshake failed so that the other side gets our alert: a plain close would reset it."""
    try:
        descriptor = secured.detach()
    except OSError:
        return
    if descriptor < 0:
        return
    with socket.socket(fileno=descriptor) as raw, suppress(OSError):
        raw.settimeout(_DRAIN_SECONDS)
        raw.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + _DRAIN_LONGEST
        while raw.recv(65536) and time.monotonic() < deadline:
            pass


def finish(secured: ssl.SSLSocket) -> None:
    """Say goodbye and close: what was sent arrives although the other side may still be sending."""
    with suppress(OSError, ValueError):
        secured.settimeout(_DRAIN_SECONDS)
        secured.shutdown(socket.SHUT_WR)
    drain(secured)
