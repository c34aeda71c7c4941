"""Containers that nothing makes anew after a promotion, and what they keep outside of the selection: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from hotsync.model.coverage.findings import Finding, Kind
from hotsync.model.coverage.judge import Cover, Judge

_CARRIED = (Cover.CARRIED, Cover.PACKAGE, Cover.ELSEWHERE, Cover.NO_DATA)


@dataclass(frozen=True, slots=True)
class ContainerSeen:
    """A container as its engine keeps it: name, image, what of the host is mounted in it, and what it was made from.

    `files` are the files of a compose project that made it, `unit` the unit that makes it each time it starts. With a
    `person` it is in the engine of somebody who is not root, and its unit is one of his own.
    """

    engine: str
    name: str
    image: str
    mounts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    unit: str = ""
    person: str = ""

    @property
    def of(self) -> str:
        """Return whose it is, in a person's words; "" if root's."""
        return f" of {self.person}" if self.person else ""


def container_findings(containers: Iterable[ContainerSeen], lost: Collection[str], judge: Judge) -> list[Finding]:
    """Given the containers of this host, and the units that nothing brings back, return what a promotion loses of them.

    Images are fetched or built again; a container is made again by whoever made it, if that is carried.
    """
    found: dict[tuple[Kind, str], Finding] = {}
    for container in containers:
        for finding in _findings(container, lost, judge):
            found.setdefault((finding.kind, finding.name), finding)
    return sorted(found.values(), key=lambda finding: finding.name)


def _findings(container: ContainerSeen, lost: Collection[str], judge: Judge) -> Iterator[Finding]:
    by = (f"{container.engine} container {container.name}{container.of}",)
    if reason := _reason(container, lost, judge):
        yield Finding(
            Kind.CONTAINER, f"{container.engine} {container.name}{container.of}", reason, (f"image {container.image}",)
        )
    for path in container.mounts:
        judged = judge(path)
        if judged.cover not in _CARRIED:
            yield Finding(Kind.VOLUME, path, judged.reason, by)


def _reason(container: ContainerSeen, lost: Collection[str], judge: Judge) -> str:
    if container.unit:
        if container.person:
            return ""  # `lost` are the machine's: a unit of the same name is another one
        return f"nothing brings {container.unit} back, which makes it" if container.unit in lost else ""
    if not container.files:
        return "it was made by hand, and what it is made with is kept by its engine only: note how it is made"
    bad = [(path, judged) for path in container.files if (judged := judge(path)).cover is not Cover.CARRIED]
    return f"{bad[0][0]}, which makes it: {bad[0][1].reason}" if bad else ""
