"""One machine of the lab: its power, its disk, its cable, and what runs on it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO

from lab import clock, network, pool
from lab.cgroup import Group
from lab.command import LabError, phase, run, say, start, wait_until, words_of
from lab.image import MOUNT_OPTIONS
from lab.network import Nic
from lab.places import CACHE, CHECKOUT, RUN

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Runs in a mount namespace of its own, so that the disk is unmounted, and its loop device freed, by the kernel when
# the last process of the host is gone, however it went. The pool, and what people mount to look at images, must not be
# held by it.
_POWER = r"""
set -eu
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
mount -o "$OPTIONS" "$DISK" "$ROOT"
while read -r source target rest; do
    case $source:$target in
    *:"$ROOT") ;;
    /dev/loop*:"$POOL" | /dev/loop*:/tmp/* | /dev/loop*:/mnt/* | /dev/loop*:/run/*) umount -l "$target" || : ;;
    esac
done </proc/self/mounts
exec "$@"
"""
_REBOOT = 133  # how nspawn leaves when the machine asked for a reboot


class Host:
    """A machine that is on or off; everything it was told to keep is on its disk."""

    def __init__(self, lab: str, name: str, fs: str, nics: Sequence[Nic], disk: Path) -> None:
        self.lab = lab
        self.name = name
        self.disk = disk
        self._fs = fs
        self._nics = tuple(nics)
        self._folder = RUN / lab / name
        self._offset = self._folder / "clock"
        self._group = Group(lab, name)

    # --- power --------------------------------------------------------------------------------------------------------

    @property
    def on(self) -> bool:
        """Whether the machine runs."""
        return self._group.populated

    def boot(self, *, wait: bool = True) -> None:
        """Switch the machine on and wait until it has started whatever it starts; failed units are shown."""
        if self.on:
            raise LabError(f"{self.name} is on already")
        with phase(f"boot {self.name}"):
            self._power_on()
            if wait:
                self.wait()
        if wait and self._offset.exists():
            self.clock(self._offset.read_text())

    def kill(self) -> None:
        """Cut the power: the disk becomes the image of this instant, and what was not on it is gone.

        The machine is held still while the image is taken, so that nobody saw it do what its disk will not show.
        """
        self._must_be_on()
        self._group.child("box").freeze()
        instant = self.disk.with_name(f"{self.disk.name}.instant")
        pool.reflink(self.disk, instant)
        self.stop_at_once()
        instant.rename(self.disk)

    def boot_from(self, image: Path) -> None:
        """Cut the power, put a copy of an image of the pool in the place of the disk, and switch the machine on."""
        self.stop_at_once()
        pool.reflink(image, self.disk)
        self.boot()

    def stop(self) -> None:
        """Shut the machine down as its power button would, and wait until it is off."""
        self._must_be_on()
        with phase(f"shut {self.name} down"):
            os.kill(self._init(), signal.SIGRTMIN + 4)
            wait_until(f"{self.name} shuts down", 120, lambda: not self.on)
            self._wait_until_unmounted()

    def stop_at_once(self) -> None:
        """End every process of the machine and let go of its disk, which nobody needs any more: it is left as it is."""
        init = self._init_or_none()
        if init is not None:
            self._group.child("box").freeze()
            pool.forget_unwritten(Path(f"/proc/{init}/root"), self.disk)
        self._group.kill()
        network.disconnect(self.lab, self._nics, self.name)
        self._wait_until_unmounted()
        self._group.remove()

    def _power_on(self) -> None:
        self._group.remove()
        power = self._group.child("power")
        power.make()
        self._folder.mkdir(parents=True, exist_ok=True)
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOTSYNC_LAB_CACHE": str(CACHE),
        }
        supply = ["/usr/bin/python3", "-m", "lab.power", self.lab, self.name]
        start(power.enter(supply), env=env, output=self._folder / "console")

    def supply(self) -> None:
        """Be the power supply: run the machine until it is switched off, and again whenever it asks for a reboot."""
        root = self._folder / "root"
        root.mkdir(exist_ok=True)
        net = f"/run/netns/{network.namespace(self.lab, self.name)}"
        machine = [
            *("nsenter", f"--net={net}", "--"),  # nspawn mounts /sys before it enters the namespace that it is told
            *("systemd-nspawn", "-q", f"--directory={root}", "--boot", f"--machine={self.lab}-{self.name}"),
            *(f"--hostname={self.name}", "--register=no", "--keep-unit", "--link-journal=no", "--console=pipe"),
            *("--capability=all", "--drop-capability=CAP_SYS_TIME", "--resolv-conf=off", "--timezone=off"),
            "--system-call-filter=@keyring bpf",  # for containers of its own: a keyring each, a list of devices
            f"--network-namespace-path={net}",
            f"--bind-ro={CHECKOUT}/lab/loop.conf:/run/tmpfiles.d/lab-loop.conf",
        ]
        env = {
            "PATH": os.environ["PATH"],
            "OPTIONS": MOUNT_OPTIONS[self._fs],
            "DISK": str(self.disk),
            "POOL": str(pool.POOL),
            "ROOT": str(root),
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",  # as a Debian 12 has it, also where this machine has a mixture
            "SYSTEMD_NSPAWN_TMPFS_TMP": "0",  # Debian 12's /tmp is on the disk
        }
        box = self._group.child("box")
        private = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", _POWER, "sh"]
        code = _REBOOT
        while code == _REBOOT:
            network.connect(self.lab, self._nics, self.name, self.cut_cards)
            box.remove()
            box.make()
            code = subprocess.run([*private, *box.enter(machine)], env=env, check=False).returncode
        network.disconnect(self.lab, self._nics, self.name)

    def wait(self) -> None:
        """Wait until the machine has started whatever it starts; failed units are shown."""

        def reachable() -> bool:
            if not self.on:
                raise LabError(f"{self.name} does not boot:\n{self.console()[-3000:]}")
            return bool(self._init_or_none()) and self._exec("test", "-S", "/run/dbus/system_bus_socket") == 0

        wait_until(f"{self.name} is put into its group", 10, lambda: self._group.populated)
        wait_until(f"{self.name} starts its message bus", 120, reachable)
        state = self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout=300).stdout.strip()
        if state != "running":
            failed = self.run(["systemctl", "--failed", "--no-legend", "--plain"], check=False).stdout.strip()
            say(f"{self.name} is {state or 'not there'}:\n{failed}")

    def _wait_until_unmounted(self) -> None:
        wait_until(f"{self.name}'s disk is unmounted", 300, lambda: not pool.devices_of(self.disk))

    def _must_be_on(self) -> None:
        if not self.on:
            raise LabError(f"{self.name} is off")

    def console(self) -> str:
        """What the machine wrote to its console since the lab is up."""
        file = self._folder / "console"
        return file.read_text(errors="replace") if file.exists() else ""

    # --- disk ---------------------------------------------------------------------------------------------------------

    def image(self, file: Path | str) -> None:
        """Copy the disk as of this instant into a file, while the machine runs on."""
        pool.copy_out(self.disk, Path(file))

    @property
    def root(self) -> Path:
        """Where the running machine's files are seen from out here, as root, with nothing of the machine in between."""
        return Path(f"/proc/{self._init()}/root")

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Mount the running machine's disk once more, out here, for programs that lose their way below `root`."""
        self._must_be_on()
        folder = self._folder / f"look-{os.getpid()}"
        folder.mkdir()
        options = MOUNT_OPTIONS[self._fs].removeprefix("loop").lstrip(",") or "defaults"
        try:
            run(["mount", "-o", options, pool.devices_of(self.disk)[0], folder])
            yield folder
        finally:
            run(["umount", "--lazy", folder], check=False)
            folder.rmdir()

    def freeze(self) -> None:
        """Hold the machine still, with all on its disk that it has written."""
        self.run(["sync"])
        self._group.child("box").freeze()

    def thaw(self) -> None:
        """Let it go on."""
        self._group.child("box").thaw()

    # --- cable --------------------------------------------------------------------------------------------------------

    @property
    def cut_cards(self) -> frozenset[str]:
        """The cards whose cables are pulled."""
        file = self._folder / "cut"
        return frozenset(file.read_text().split()) if file.exists() else frozenset()

    def cut(self, card: str = "") -> None:
        """Pull the network cable (all of them, or one card's); it stays so over a boot."""
        self._set_cables(self.cut_cards | self._cards(card))

    def join(self, card: str = "") -> None:
        """Plug it in again."""
        self._set_cables(self.cut_cards - self._cards(card))

    def _cards(self, card: str) -> frozenset[str]:
        own = frozenset(nic.name for nic in self._nics if nic.host == self.name)
        if card and card not in own:
            raise LabError(f"{self.name} has no card {card}, but {' '.join(sorted(own))}")
        return frozenset({card}) if card else own

    def _set_cables(self, cut: frozenset[str]) -> None:
        (self._folder / "cut").write_text(" ".join(sorted(cut)))
        if self.on:
            network.set_cable(self.lab, self._nics, self.name, cut)

    # --- clock --------------------------------------------------------------------------------------------------------

    def clock(self, offset: str) -> None:
        """Give HotSync's units, and commands run from here, a clock that is wrong by `+2h`, `-90s`, ...; `+0`: right.

        The offset outlives a boot; timers of systemd and times that the file system writes stay right.
        """
        right = clock.is_right(offset)
        listed = self.run(["systemctl", "list-unit-files", "--no-legend", "hotsync*.service"], check=False)
        units = {*clock.UNITS, *(line.split()[0].removesuffix(".service") for line in listed.stdout.splitlines())}
        drop_ins = [f"/run/systemd/system/{unit}.service.d/lab-clock.conf" for unit in sorted(units)]
        self.run(["rm", "-f", clock.ENVIRONMENT_FILE, *drop_ins])
        if right:
            self._offset.unlink(missing_ok=True)
        else:
            self._offset.write_text(offset)
            library = clock.library_of(self.run(["dpkg", "-L", "libfaketime"]).stdout)
            self.write(clock.OUR_LIBRARY, clock.only_telling_time(self.read_bytes(library)), 0o755)
            lines = clock.settings(offset)
            for drop_in in drop_ins:
                self.write(drop_in, "[Service]\n" + "".join(f"Environment={line}\n" for line in lines))
            self.write(clock.ENVIRONMENT_FILE, "".join(f"{line}\n" for line in lines))
        self.run(["systemctl", "daemon-reload"])
        listed = self.run(["systemctl", "list-units", "--plain", "--no-legend", "--state=running", "hotsync*.service"])
        running = [line.split()[0] for line in listed.stdout.splitlines()]
        if running:
            self.run(["systemctl", "restart", *running])

    def forget(self) -> None:
        """Let cables and clock be as on the first day."""
        (self._folder / "cut").unlink(missing_ok=True)
        self._offset.unlink(missing_ok=True)

    # --- what runs there ----------------------------------------------------------------------------------------------

    def run(
        self,
        command: Sequence[str | Path] | str,
        *,
        input: str | bytes | None = None,
        check: bool = True,
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Given a command (a list, or a line for `sh`), run it as root on the machine and return what it said."""
        return run(self.enter(words_of(command), env), input=input, check=check, timeout=timeout)

    def spawn(
        self,
        command: Sequence[str | Path] | str,
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = DEVNULL,
        stdout: int | IO[bytes] = PIPE,
        stderr: int | IO[bytes] = DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a command there and return at once, for what must be fed or watched while it runs.

        Whatever signal ends it out here, in there it is killed: to send another, run `kill` on the machine.
        """
        words = self.enter(words_of(command), env)
        return subprocess.Popen(words, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)

    def write(self, path: Path | str, data: str | bytes, mode: int = 0o644) -> None:
        """Write a file of root's there, whole, with the folders above it."""
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"'
        self.run(["sh", "-c", script, "sh", str(path), f"{mode:o}"], input=data)

    def read(self, path: Path | str) -> str:
        """Read a file of that machine; bytes that are not UTF-8 survive as surrogates."""
        return self.run(["cat", "--", str(path)]).stdout

    def read_bytes(self, path: Path | str) -> bytes:
        """Read a file of that machine as it is."""
        return self.read(path).encode(errors="surrogateescape")

    def enter(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The command line that runs a command on the machine from here: in all its namespaces and in a control group
        of its own there, with a clean environment."""
        self._must_be_on()
        init = self._init()
        group = self._group.child("box", "payload", "lab")
        group.make()
        settings = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb")}
        settings |= self._clock_environment(init) | dict(env or {})
        return group.enter(
            [
                *("nsenter", f"--target={init}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"),
                *("setpriv", "--pdeathsig=KILL"),  # who ends the command out here ends it in there too
                *("env", "-i", "-C", "/root", *(f"{key}={value}" for key, value in settings.items()), *command),
            ]
        )

    def _clock_environment(self, init: int) -> dict[str, str]:
        try:
            lines = Path(f"/proc/{init}/root{clock.ENVIRONMENT_FILE}").read_text().splitlines()
        except OSError:
            return {}
        return {key: value for key, _, value in (line.partition("=") for line in lines)}

    def _exec(self, *command: str) -> int:
        return run(self.enter(command), check=False).returncode

    def _init(self) -> int:
        init = self._init_or_none()
        if init is None:
            raise LabError(f"{self.name} has no init yet")
        return init

    def _init_or_none(self) -> int | None:
        """The number that the machine's process 1 has out here."""
        # what it is about to start is in its group for a moment, too
        processes = self._group.child("box", "payload", "init.scope").processes()
        return next((process for process in processes if _number_inside(process) == 1), None)


def _number_inside(process: int) -> int:
    """The number that a process has in its own machine; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), 0)
