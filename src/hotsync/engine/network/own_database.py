"""NethServer's networks database where a promotion keeps this server's own network.

The network's files are made of it at every event, so they stay only if its interfaces stay. What it says beside them
(trusted networks, zones, providers) is the firewall's, and that is the MASTER's.
"""

from __future__ import annotations

from hotsync.backends.network import esmith
from hotsync.config import esmith as records
from hotsync.config.esmith import Record
from hotsync.engine.promotion.files import ASIDE
from hotsync.model.nesting import lies_in
from hotsync.model.promotion import NetworkChoice, Promotion
from hotsync.state.configdb import Document, find_database
from hotsync.system import files
from hotsync.system.paths import Paths

_DATABASE = "networks"
_BESIDE = frozenset(("network", "provider", "zone"))


def kept(paths: Paths, choice: NetworkChoice) -> frozenset[str]:
    """Return the paths, below the root, that a promotion with this answer about the network leaves as they are."""
    stays = not choice.takes_addresses and esmith.available(paths.at("/etc"))
    return frozenset((esmith.FILE,)) if stays else frozenset()


def is_own(promotion: Promotion) -> bool:
    """Return whether the database stayed in place: what moves is fixed by the answer that was given at the claim."""
    return not any(lies_in(esmith.FILE, unit.path) for unit in promotion.units)


def take_the_rest(paths: Paths) -> tuple[str, ...]:
    """Take what the MASTER's database says beside interfaces into this server's, and return the keys.

    What names an interface that is not here means nothing here. Done already is fine.
    """
    theirs, taken = _masters(paths), list[str]()

    def merge(document: Document) -> None:
        for key, stored in theirs.items():
            record, here = records.parse_value(stored or ""), records.parse_value(document.get(key) or "")
            if record.type not in _BESIDE or here.type not in (None, *_BESIDE) or not _fits(record, document):
                continue
            document[key] = stored
            taken.append(key)

    if theirs:
        find_database(_DATABASE, paths).update(merge)
    return tuple(taken)


def take_all(paths: Paths) -> None:
    """Put the MASTER's records in the place of this server's; what these were is set aside like all that was here."""
    theirs, database = _masters(paths), find_database(_DATABASE, paths)
    if not theirs or not database.path.exists():
        return
    aside = paths.state / ASIDE / esmith.FILE
    if not aside.exists():
        aside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write_atomic(aside, database.path.read_bytes(), mode=0o600)

    def exchange(document: Document) -> None:
        document.clear()
        document.update(theirs)

    database.update(exchange)


def _masters(paths: Paths) -> Document:
    """Return the MASTER's records; none where its database has moved into its place."""
    try:
        return records.parse_document((paths.replica / "tree" / esmith.FILE).read_bytes())
    except OSError:
        return {}


def _fits(record: Record, document: Document) -> bool:
    named = (value for name, value in record.props.items() if name.lower() == "interface" and value)
    return all(name in document for name in named)
