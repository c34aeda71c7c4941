"""Until when the certificate is valid that a service shows to its clients."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime

from hotsync.backends.checks import TIMEOUT, Ill, ask
from hotsync.model.report import Check, Verdict

TLS_PORTS = (443, 465, 636, 993, 995, 5061, 8443)
"""Ports on which a connection begins with TLS."""

SOON_DAYS = 7


def check_certificate(name: str, host: str, port: int, now: float) -> Check:
    """Given a port that speaks TLS, return whether its certificate is valid now; amber if it is for a few days only."""
    title = f"the certificate at port {port} is valid"
    hint = "Renew it on the MASTER; the next generation brings it here."
    left: list[float] = []

    def question() -> str:
        begins, ends = _validity(_shown(host, port))
        if begins > now:
            raise Ill(f"it is valid from {_day(begins)} on")
        if ends <= now:
            raise Ill(f"it expired on {_day(ends)}")
        left.append((ends - now) / 86400)
        return f"until {_day(ends)}"

    check = ask(name, title, hint, question, (ValueError,))
    if left and left[0] < SOON_DAYS:
        return Check(name, title, Verdict.AMBER, f"only {check.detail}", hint)
    return check


def _shown(host: str, port: int) -> bytes:
    context = ssl.create_default_context()
    # the name in it is the public one, and the time is what is asked here
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _validity(certificate: bytes) -> tuple[float, float]:
    from cryptography import x509

    read = x509.load_der_x509_certificate(certificate)
    return read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp()


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
