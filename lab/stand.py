"""A whole lab: two hosts, a client, their network and their repository, put up and taken down together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from lab import image, network, package, pool, repository
from lab.cgroup import Group
from lab.client import Client
from lab.command import LabError, phase, say
from lab.face import NETWORKS, face, put_on
from lab.host import Host
from lab.needs import install_needs, make_room
from lab.places import HOSTS, RUN, check_name, locked
from lab.repository import Repository


@dataclass(frozen=True, slots=True)
class Wish:
    """What a lab was asked to be; written down, so that every later command finds the same lab."""

    name: str = "lab"
    fs: str = "ext4"
    bare: bool = False
    network: str = "ifupdown"
    nics: str = ""
    gigabytes: int = image.GIGABYTES

    def check(self) -> None:
        """Raise LabError if no lab can be like that."""
        check_name(self.name)
        network.parse_nics(self.nics)
        if self.fs not in image.FILE_SYSTEMS:
            raise LabError(f"{self.fs!r} is none of the file systems {', '.join(image.FILE_SYSTEMS)}")
        if self.gigabytes < image.GIGABYTES:
            raise LabError(f"a disk has at least {image.GIGABYTES} GB; it is sparse")
        if self.network not in NETWORKS:
            raise LabError(f"{self.network!r} is none of the network systems {', '.join(NETWORKS)}")

    def base(self, host: str) -> image.Base:
        """The base image of a host: the MASTER has the applications, the SLAVE is a plain server."""
        return image.Base("server" if host == "master" and not self.bare else "bare", self.fs)


class Lab:
    """A lab that is up. As a context manager it goes down at the end."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.name = wish.name
        self._folder = RUN / wish.name
        self._disks = pool.LABS / wish.name
        nics = network.parse_nics(wish.nics)
        self.master, self.slave = (Host(wish.name, host, wish.fs, nics, self._disks / f"{host}.img") for host in HOSTS)
        self.client = Client(wish.name)
        self.repository = Repository(self.client.www / "debian")

    # --- up and down --------------------------------------------------------------------------------------------------

    @classmethod
    def up(
        cls,
        name: str = "lab",
        fs: str = "ext4",
        *,
        bare: bool = False,
        package: bool | Path = True,
        network: str = "ifupdown",
        nics: str = "",
        gigabytes: int = image.GIGABYTES,
    ) -> Self:
        """Put a lab up and return it, both hosts started. If anything fails, all of it is taken away again.

        `package` is True to build and install HotSync, False to leave it out, or a .deb that is there already.
        """
        wish = Wish(name, fs, bare, network, nics, gigabytes)
        wish.check()
        install_needs()
        lab = cls(wish)
        with lab._or_nothing():
            lab._up(package)
        return lab

    @classmethod
    def twin(cls, of: str, name: str) -> Self:
        """Put up a lab with all that another one has saved, and return it, both hosts off: `revert` switches them on.

        Raise LabError if that one has saved nothing, or is not of ext4: no two of the others stand beside each other.
        """
        other = cls.find(of)
        lab = cls(replace(other.wish, name=check_name(name)))
        with lab._or_nothing(), locked(f"lab-{of}"):  # it does not go away meanwhile
            if other.wish.fs != "ext4" or not other.saved():
                raise LabError(f"lab {of} has nothing that a twin could have")
            lab._begin()
            for label in other.saved():
                lab._saved(label).mkdir(parents=True)
                for file in other._saved(label).iterdir():
                    pool.reflink(file, lab._saved(label) / file.name)
            lab._lay()
        return lab

    @classmethod
    def find(cls, name: str = "lab") -> Self:
        """The lab of that name; raise LabError if it is not up."""
        file = RUN / check_name(name) / "lab.json"
        if not file.exists():
            raise LabError(f"there is no lab {name}: `script/lab up --name {name}`")
        return cls(Wish(**json.loads(file.read_text())))

    def down(self) -> None:
        """Take all away: processes, namespaces, mounts, loop devices, disks."""
        with locked(f"lab-{self.name}"), phase(f"lab {self.name} down"):
            self._down()

    @classmethod
    def take_away(cls, name: str) -> None:
        """Take away whatever there is of a lab of that name, also when nothing is known of it any more."""
        cls(Wish(name=check_name(name))).down()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def hosts(self) -> tuple[Host, Host]:
        """Both machines."""
        return self.master, self.slave

    @contextmanager
    def _or_nothing(self) -> Iterator[None]:
        """While the lab is put up: nobody else touches it, and if anything fails, all of it is taken away again."""
        with locked(f"lab-{self.name}"):
            if self._folder.exists() or self._disks.exists():
                raise LabError(f"lab {self.name} is up already, or was left half: `script/lab down --name {self.name}`")
            try:
                with phase(f"lab {self.name} up"):
                    yield
            except BaseException:
                self._down()
                raise

    def _begin(self) -> None:
        self._folder.mkdir(parents=True)
        (self._folder / "lab.json").write_text(json.dumps(asdict(self.wish)))
        make_room()
        pool.open_pool()
        self._disks.mkdir(parents=True)

    def _lay(self) -> None:
        with phase("lay the network"):
            network.lay(self.name, network.parse_nics(self.wish.nics))
            self.repository.publish()
            self.client.start_web()
            self.client.start_sink()

    def _up(self, deb: bool | Path) -> None:
        built = package.build() if deb is True else deb
        self._begin()
        repository.make_key()
        image.build(image.Base("server"))  # also for bare hosts: it brings what the repository offers
        for host in self.hosts:
            image.build(self.wish.base(host.name))
        if built:
            package.fetch_needs(built)
        with phase("make the disks"):
            _both(self._make_disk, self.hosts)
        self._lay()
        _both(Host.boot, self.hosts)
        if built:
            _both(lambda host: package.install(built, host), self.hosts)

    def _make_disk(self, host: Host) -> None:
        pool.reflink(image.build(self.wish.base(host.name)), host.disk)
        image.give_own_uuid(host.disk, self.wish.fs)
        os.truncate(host.disk, self.wish.gigabytes << 30)
        files = face(host.name, network.parse_nics(self.wish.nics), self.wish.network)
        put_on(files, host.disk, self.wish.fs, self.wish.network, self._folder / host.name)

    def _down(self) -> None:
        for host in self.hosts:
            host.stop_at_once()
        self.client.stop()
        Group(self.name).kill()
        Group(self.name).remove()
        network.tear_down(self.name)
        pool.remove_tree(self._disks)
        pool.remove_tree(self._folder)
        pool.close_pool()

    # --- prepared states ----------------------------------------------------------------------------------------------

    def save(self, label: str) -> None:
        """Keep the state of both disks, of the same instant, and of the repository, under a label."""
        folder = self._saved(label)
        running = [host for host in self.hosts if host.on]
        with locked(f"lab-{self.name}"), phase(f"save {label}"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                _both(Host.freeze, running)
                for host in self.hosts:
                    pool.reflink(host.disk, folder / host.disk.name)
            finally:
                for host in running:
                    host.thaw()
            state = {"on": [host.name for host in running], "withdrawn": sorted(self.repository.withdrawn)}
            (folder / "state.json").write_text(json.dumps(state))

    def revert(self, label: str) -> None:
        """Bring both disks and the repository back to a saved state, and switch on the hosts that were on then.

        Cables are plugged in, clocks right and mails forgotten afterwards.
        """
        folder = self._saved(label)
        if not (folder / "state.json").exists():
            raise LabError(f"nothing was saved as {label}; there is: {' '.join(self.saved()) or 'nothing'}")
        state = json.loads((folder / "state.json").read_text())
        with locked(f"lab-{self.name}"), phase(f"revert to {label}"):
            for host in self.hosts:
                host.stop_at_once()
                pool.reflink(folder / host.disk.name, host.disk)
                host.forget()
            self.client.forget_mails()
            if self.repository.withdrawn != set(state["withdrawn"]):
                self.repository.publish(state["withdrawn"])
            _both(Host.boot, [host for host in self.hosts if host.name in state["on"]])

    def saved(self) -> list[str]:
        """The labels of what was saved."""
        return sorted(path.parent.name for path in (self._disks / "saved").glob("*/state.json"))

    def _saved(self, label: str) -> Path:
        return self._disks / "saved" / check_name(label)


def labs() -> list[str]:
    """The names of the labs of this machine, also of those left half."""
    found = {path.name for folder in (RUN, pool.LABS) if folder.exists() for path in folder.iterdir()}
    return sorted(name for name in found if not name.startswith("."))


def warm() -> None:
    """Build the base images ahead."""
    install_needs()
    for kind in ("bare", "server"):
        say(f"{image.build(image.Base(kind))} is there")
    pool.close_pool()


def _both(do: Callable[[Host], None], hosts: Sequence[Host]) -> None:
    """Do the same on several hosts at once, and let every one end before a failure is told."""
    with ThreadPoolExecutor() as people:
        for done in [people.submit(do, host) for host in hosts]:
            done.result()
