"""What proves that a database server did not change since it was dumped; kept in `proofs.json`, outside of the spool.

An engine tells its *state*: a text that is another one as soon as anything that a dump shows is another. It is read
before the dump begins (or is made of the dump itself), so a change while the dump runs makes the next state differ.
Where a state cannot be told for sure the engine says None, and the server is dumped.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from hotsync.sources.documents import FileRecord
from hotsync.system.files import write_atomic
from hotsync.system.paths import Paths

LONGEST = 24 * 3600.0
"""A proof that is older is not used: whatever it might have missed is in the dumps a day later."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """The state of a server right before it was dumped at `dumped_at`, and the digest of what was dumped."""

    state: str
    digest: str
    dumped_at: float


def find(paths: Paths, dataset: str, now: float) -> Proof | None:
    """Return what is known of a server, unless it is too old to be used."""
    proof = _load(paths).get(dataset)
    return proof if proof is not None and 0 <= now - proof.dumped_at < LONGEST else None


def keep(paths: Paths, dataset: str, proof: Proof | None) -> None:
    """Remember a proof, or (None) that there is none; one that cannot be written only costs a dump."""
    known = _load(paths)
    if known.get(dataset) == proof:
        return
    proofs = {name: asdict(each) for name, each in known.items() if name != dataset}
    if proof is not None:
        proofs[dataset] = asdict(proof)
    try:
        write_atomic(paths.proofs, json.dumps({"schema": 1, "proofs": proofs}, sort_keys=True).encode(), mode=0o600)
    except OSError as error:
        log.warning("the proof for %s could not be written: %s", dataset, error)


def is_whole(folder: Path, files: Iterable[FileRecord]) -> bool:
    """Return whether all files of a dataset lie in its folder with their sizes."""
    try:
        return all((folder / file.file).lstat().st_size == file.size for file in files)
    except OSError:
        return False


def _load(paths: Paths) -> dict[str, Proof]:
    try:
        document = json.loads(paths.proofs.read_bytes())
        return TypeAdapter(dict[str, Proof]).validate_python(document["proofs"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return {}  # none yet, or none that can be read
