"""Certificates and keys outside of the selection: pure, from the files that settings name and that lie around."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hotsync.model.coverage.findings import Finding, Kind
from hotsync.model.coverage.judge import Cover, Judge

KEY_FILE = re.compile(r"\.(?:pem|key|crt|cer|p12|pfx|jks|keystore)\Z", re.IGNORECASE)
_NAMED = re.compile(rb"(?<![\w./-])(/(?:[\w.+@~-]+/)*[\w.+@~-]+\.(?:pem|key|crt|cer|p12|pfx|jks|keystore))(?![\w./-])")
_PRIVATE = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_STORES = (".p12", ".pfx", ".jks", ".keystore")


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """A file that is there: the settings that name it, and whether it holds a private key."""

    path: str
    named_in: tuple[str, ...] = ()
    private: bool = False


def named_in(content: bytes) -> frozenset[str]:
    """Given the content of a file of settings, return the certificates and keys that it names, but for remarks."""
    lines = (line for line in content.splitlines() if not line.lstrip().startswith((b"#", b";", b"//")))
    return frozenset(found.decode("ascii", "replace") for line in lines for found in _NAMED.findall(line))


def holds_private_key(path: str, head: bytes) -> bool:
    """Given how a file is called and begins, say whether it holds a private key."""
    return path.lower().endswith(_STORES) or _PRIVATE.search(head) is not None


def certificate_findings(certificates: Iterable[CertificateSeen], judge: Judge) -> list[Finding]:
    """Given certificates and keys, return those that nothing protects and that something uses, or that are private."""
    found: list[Finding] = []
    for seen in certificates:
        judged = judge(seen.path)
        lost = judged.cover in (Cover.NOTHING, Cover.NO_DATA) if seen.named_in else not judged.is_covered
        if lost and (seen.named_in or seen.private):
            what = "holds a private key; " if seen.private else ""
            found.append(Finding(Kind.CERTIFICATE, seen.path, f"{what}{judged.reason}", seen.named_in))
    return sorted(found, key=lambda finding: finding.name)
