"""What may stand in a message: the values of its fields, each within its bounds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

MOST = 2**53  # what JSON carries exactly everywhere
NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*$"
Number = Annotated[int, Field(ge=0, le=MOST)]
LATEST = 1e11
Moment = Annotated[float, Field(ge=0, le=LATEST, allow_inf_nan=False)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$")]
Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+~-]{0,63}$")]
Words = Annotated[str, Field(max_length=2000, pattern=NO_CONTROLS)]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z.]{0,63}$")]
LinkLocal = Annotated[str, Field(pattern=r"^(fe80::[0-9a-f:]{1,34})?$")]
Ip = Annotated[str, Field(pattern=r"^[0-9a-f:.]{2,45}$")]
IpPrefix = Annotated[str, Field(pattern=r"^[0-9a-f:.]{2,45}/[0-9]{1,3}$")]
Octets = Annotated[str, Field(pattern=r"^([0-9a-f]{2}){1,256}$")]
_CLUSTER = r"postgresql/[0-9]{1,2}(\.[0-9])?-[A-Za-z0-9_][A-Za-z0-9_.-]{0,47}"
_SERVER = r"mariadb/[A-Za-z0-9][A-Za-z0-9_.-]{0,47}"
StreamName = Annotated[str, Field(pattern=rf"^({_CLUSTER}|{_SERVER})?$")]
Role = Literal["master", "slave"]
Position = Annotated[str, Field(max_length=2000, pattern=r"^[0-9]{1,10} [0-9,-]*$")]


def plain(text: str, limit: int = 2000) -> str:
    """Given any text, return it fit for a log or a message: no control characters, no surrogates, not too long."""
    kept = "".join(sign if sign.isprintable() else "?" for sign in text[:limit])
    return kept.encode("utf-8", "replace").decode("utf-8")


def moment(seconds: float) -> float:
    """Given any moment, return the nearest one that a message can hold."""
    return min(max(0.0, float(seconds)), LATEST)
