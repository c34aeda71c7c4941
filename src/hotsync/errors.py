"""Every failure that HotSync can name: stable code, one sentence, one hint, exit status.

HotSyncError
├── UsageError               2    the command line
│   └── NotRoot
├── ConfigError              2    all faults of a document, each with its key
│   └── ProfileError
├── Refused                  3    it could be done, but must not be
│   ├── WrongRole  StaleEpoch  PeerStillAlive  NotReady  NotPromotable  Held  OlderServer  ReplicaClosed  TargetRefused
│   └── StreamRefused  NotServing  HandOverFailed  StillServed
├── Busy                     4    another run holds the lock
├── PeerError                5    unreachable, not trusted, speaks another protocol
│   ├── PeerUnreachable  ConnectionEnded  PeerRefused  WrongPassword  WrongPeer  NotTrusted  NotPaired
│   ├── AlreadyPaired  PairingSlowed  OtherProtocol  EpochReleased
│   ├── ClockSkew  PeerSilent  ProtocolError  PeerBusy
├── TransferError            6    rsync said no
│   └── OtherRsync
├── SourceError              7    a database or file could not be collected
├── RestoreFailed            9    a collected database could not be loaded
├── ReplicaError             8    integrity, space, commit
│   ├── NoSpace  DiskFull
│   └── ManifestDamaged
├── SystemFault              9    the operating system refused something that nobody foresaw
├── RunEnded               130    somebody ended it
├── Bug                     70    what nobody foresaw
├── StepFailed               9    a step of a plan failed: which, what is done, how to go on
├── NotHandedOver            9    a claimed switchover whose MASTER is not known to have stood still
├── NotHeld                  9    a MASTER that heard of its successor, and is not seen to let go
├── AddressTaken             9    somebody else has an address that this server is to take
├── NetworkSilent            9    nobody answered with the new network, so the old one is back
└── CommandFailed            9    a program failed; wrapped by one of the above wherever that says more

The message of an error is its docstring, formatted with the facts it was raised with.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What a HotSync command's exit status means; the same table for all commands."""

    DONE = 0
    WARNINGS = 1
    USAGE = 2
    REFUSED = 3
    BUSY = 4
    PEER = 5
    TRANSFER = 6
    SOURCE = 7
    REPLICA = 8
    STEP = 9
    BUG = 70
    INTERRUPTED = 130


class HotSyncError(Exception):
    """{reason}"""

    code: ClassVar[str] = "hotsync"
    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    hint: str = "Run the command again; if it fails again, `hotsync doctor` shows what this server lacks."

    def __init__(self, *, hint: str | None = None, **facts: object) -> None:
        self.facts = facts
        if hint is not None:
            self.hint = hint
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """Return the one sentence that says what is wrong."""
        template = (type(self).__doc__ or "").strip()
        return template.format_map(_Facts(self.facts))

    def to_json(self) -> dict[str, object]:
        """Return the error as the object that `--json` prints."""
        facts = {
            key: value if isinstance(value, int | float | bool) else str(value) for key, value in self.facts.items()
        }
        return {"code": self.code, "sentence": self.sentence, "hint": self.hint, "facts": facts}


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return f"<{key}>"


class UsageError(HotSyncError):
    """{reason}"""

    code = "usage"
    exit_code = ExitCode.USAGE
    hint = "Run the command with --help."


class NotRoot(UsageError):
    """Only root may do this: {reason}"""

    code = "usage.root"
    hint = "Run it as root (sudo)."


class ConfigError(HotSyncError):
    """{document} has faults: {faults}"""

    code = "config"
    exit_code = ExitCode.USAGE
    hint = "Correct each value named, then run the command again."


class ProfileError(ConfigError):
    """Profile {document} has faults: {faults}"""

    code = "config.profile"
    hint = "Correct the profile; `man 5 hotsync-profile` describes each key."


class Refused(HotSyncError):
    """{reason}"""

    code = "refused"
    exit_code = ExitCode.REFUSED
    hint = "`hotsync status` shows role, peer and readiness."


class WrongRole(Refused):
    """This server is {role}, and {command} runs on {wanted} only."""

    code = "refused.role"
    hint = "Run the command on the other server, or see `hotsync status`."


class StaleEpoch(Refused):
    """This MASTER was superseded: it is at epoch {ours}, its peer at epoch {theirs}."""

    code = "refused.epoch"
    hint = "It holds itself. `hotsync rejoin` on it makes it the SLAVE."


class NotServing(Refused):
    """This MASTER holds itself: {reason}"""

    code = "refused.hold"
    hint = "Look at the other server. If this one is to serve, run `hotsync rejoin --as-master`."


class HandOverFailed(Refused):
    """The MASTER does not hand over, and goes on as before: {reason}"""

    code = "refused.handover"
    hint = "Remove the cause, then run hotsync-promote --planned again."


class PeerStillAlive(Refused):
    """The MASTER still answers ({evidence})."""

    code = "refused.alive"
    hint = "Switch the MASTER off first; use --force only if you are sure that it cannot serve."


class StillServed(Refused):
    """This server would take what somebody else has or may serve: {evidence}."""

    code = "refused.served"
    hint = "Switch the other server off, or find out who that is; --force only if you are sure that it cannot serve."


class NotReady(Refused):
    """This server is not ready: {reason}"""

    code = "refused.ready"
    hint = "`hotsync status` lists what is missing and what to do about it."


class NotPromotable(NotReady):
    """This SLAVE cannot be promoted: {reason}"""

    code = "refused.promotion"


class Held(Refused):
    """The run is held: {reason}"""

    code = "refused.held"
    hint = "If the change is meant, run `hotsync --accept-changes` once."


class ReplicaClosed(Refused):
    """The replica takes nothing any more: {reason}"""

    code = "refused.closed"
    hint = "A promotion has claimed this server; `hotsync status` here shows how far it is."


class TargetRefused(Refused):
    """{path} cannot be written: {reason}"""

    code = "refused.target"
    hint = "Name a folder with room in it with --to; `df -h` shows which disk has some."


class StreamRefused(Refused):
    """A stream carries replication and nothing else: {reason}"""

    code = "refused.stream"
    hint = "Only the waiting server of a SLAVE speaks through a stream; if nobody tried it by hand, look at the SLAVE."


class Busy(HotSyncError):
    """Another {what} is running (process {pid}, for {age})."""

    code = "busy"
    exit_code = ExitCode.BUSY
    hint = "Wait for it to end; `hotsync status` shows since when it runs."


class OlderServer(Refused):
    """{dataset} comes from {theirs}, and the server here is {ours}: it cannot be loaded into an older one."""

    code = "refused.version"
    hint = "Install the MASTER's version of the server (or a newer one) here, then run hotsync-slave again."


class PeerError(HotSyncError):
    """{reason}"""

    code = "peer"
    exit_code = ExitCode.PEER
    hint = "`hotsync status` on both servers shows what each thinks of the other."


class PeerUnreachable(PeerError):
    """{address} port {port} does not answer: {reason}"""

    code = "peer.unreachable"
    hint = (
        "Is the other server on, its cable in, HotSync enabled and configured there, and the port open for this server?"
    )


class ConnectionEnded(PeerError):
    """The connection with the peer was lost: {reason}"""

    code = "peer.gone"
    hint = "If the line is good, the system log of the other server says why; the next run goes on from here."


class PeerRefused(PeerError):
    """The peer refused: {reason}"""

    code = "peer.refused"


class WrongPassword(PeerError):
    """Pairing with {address} failed: the two passwords differ."""

    code = "peer.password"
    hint = (
        "Set the same password on both: config setprop rsyncd password ...; then signal-event nethserver-hotsync-save."
    )


class WrongPeer(PeerError):
    """{address} shows another certificate ({seen}) than the paired server's ({pinned})."""

    code = "peer.certificate"
    hint = "If that server was installed anew, run `hotsync pair --forget` on both; else find out who answers."


class NotTrusted(PeerError):
    """{address} does not accept this server's certificate ({ours})."""

    code = "peer.untrusted"
    hint = "One of the two was installed or paired anew: run `hotsync pair --forget` on both, then pair again."


class NotPaired(PeerError):
    """This server is not paired with {address} yet."""

    code = "peer.unpaired"
    hint = "Set the password and addresses on both servers, then signal-event nethserver-hotsync-save on both."


class AlreadyPaired(PeerError):
    """{address} is paired with another certificate already."""

    code = "peer.paired"
    hint = "If this server was installed anew, run `hotsync pair --forget` on the other one."


class PairingSlowed(PeerError):
    """Pairing with {address} is slowed down after {failures} failed attempts: the next one in {seconds} seconds."""

    code = "peer.slowed"
    hint = "Set the same password on both; `hotsync pair` opens the next attempt at once."


class EpochReleased(PeerError):
    """The other server gave its promotion to epoch {theirs} up; this one is at epoch {ours} and takes the next one."""

    code = "peer.released"
    hint = "This MASTER does so by itself within half a minute; run the command again then."


class OtherProtocol(PeerError):
    """The peer speaks protocol {theirs}, this server {ours}."""

    code = "peer.protocol"
    hint = "Install the same HotSync version on both servers."


class ClockSkew(PeerError):
    """The clocks of the two servers differ by {seconds} seconds."""

    code = "peer.clock"
    hint = "Set the clock right on both servers (timedatectl), best by NTP."


class PeerSilent(PeerError):
    """The peer sent nothing for {seconds} seconds while {phase}."""

    code = "peer.silent"
    hint = "The line or the other server is stalled; the next run goes on from here."


class ProtocolError(PeerError):
    """The peer sent something that HotSync does not accept: {reason}"""

    code = "peer.malformed"
    hint = "Install the same HotSync version on both servers; if it is the same, the peer is not to be trusted."


class PeerBusy(PeerError):
    """The peer is busy: {reason}"""

    code = "peer.busy"
    hint = "The next run will try again."


class TransferError(HotSyncError):
    """The transfer failed: {reason}"""

    code = "transfer"
    exit_code = ExitCode.TRANSFER
    hint = "The last generation is untouched; the next run resumes from what has arrived."


class OtherRsync(TransferError):
    """The two rsync programs do not understand each other (here {ours}, there {theirs})."""

    code = "transfer.rsync"
    hint = "Install the same rsync version on both servers."


class SourceError(HotSyncError):
    """{dataset} could not be collected: {reason}"""

    code = "source"
    exit_code = ExitCode.SOURCE
    hint = "Its last good copy stays in the next generation; repair the source and run hotsync again."


class RestoreFailed(HotSyncError):
    """{dataset} could not be loaded: {reason}"""

    code = "restore"
    exit_code = ExitCode.STEP
    hint = "Remove the cause, then run the same command again: the database is loaded anew from its dump."
    databases: tuple[str, ...] = ()
    """Which of the server's databases could not be, where it is not all of them."""


class ReplicaError(HotSyncError):
    """The replica: {reason}"""

    code = "replica"
    exit_code = ExitCode.REPLICA
    hint = "The last committed generation is kept; `hotsync verify` on the SLAVE checks it."


class NoSpace(ReplicaError):
    """The SLAVE lacks space: {needed} bytes needed, {free} free."""

    code = "replica.space"
    hint = "Free or add space below /var/lib/hotsync on the SLAVE, or shorten the retention."


class DiskFull(ReplicaError):
    """A disk of this server takes nothing more: {reason}"""

    code = "replica.full"
    hint = "Free or add space on this server (`df -h / /run /var/lib/hotsync`, `df -i /var/lib/hotsync` show where)."


class ManifestDamaged(ReplicaError):
    """The manifest {path} is damaged: {reason}"""

    code = "replica.manifest"
    hint = "Move the file away and run the command again: the manifest is rebuilt from the peer or from the tree."


class SystemFault(HotSyncError):
    """This server refused what a run needs: {reason}"""

    code = "system"
    exit_code = ExitCode.STEP
    hint = "Look at the path or program named and at the disks (`dmesg`); then run the same command again."


class RunEnded(HotSyncError):
    """The run was ended from outside before it was done."""

    code = "ended"
    exit_code = ExitCode.INTERRUPTED
    hint = (
        "The next run goes on with what has arrived. If nobody ended it, it took longer than its unit allows: "
        "`journalctl -u hotsync -u hotsync-slave` shows where it stood."
    )


class Bug(HotSyncError):
    """A bug in HotSync: {reason}"""

    code = "bug"
    exit_code = ExitCode.BUG
    hint = "Please report it with the lines that `journalctl -t hotsync -t hotsync-slave` shows."


class StepFailed(HotSyncError):
    """Step {step} failed: {reason}"""

    code = "step"
    exit_code = ExitCode.STEP
    hint = "Remove the cause, then run the same command again: it goes on where it stopped."


class DrillFailed(HotSyncError):
    """The drill did not come to a result: {reason}"""

    code = "drill"
    exit_code = ExitCode.STEP
    hint = "`journalctl -u hotsync-drill` has more; then run hotsync drill again."


class NotHandedOver(HotSyncError):
    """This server has claimed the MASTER's place, but that one does not confirm that it stood still: {reason}"""

    code = "handover"
    exit_code = ExitCode.STEP
    hint = (
        "Look at the MASTER. hotsync-promote asks it again, and gives the claim up if it does not confirm; "
        "hotsync-promote --force goes on with what is here, and loses what the MASTER did meanwhile."
    )


class NotHeld(HotSyncError):
    """It heard of epoch {epoch} at {address}, but {reason}"""

    code = "fence"
    exit_code = ExitCode.STEP
    hint = "Look at the MASTER: is /var/lib/hotsync full or read-only, does hotsync-hold.path run? Keep it off."


class StillAnswers(HotSyncError):
    """It still answered {seconds} seconds after that ({evidence})"""

    code = "alive"
    exit_code = ExitCode.STEP
    hint = "Look at the old MASTER: does it stop, and what holds it up? Keep it off."


class NetworkSilent(HotSyncError):
    """Nobody answered with the new network (asked: {asked}), so the one from before is back after {seconds} seconds"""

    code = "network"
    exit_code = ExitCode.STEP
    hint = (
        "If there is nobody who could answer: config setprop hotsync RollbackSeconds 0. Else look at cables and cards, "
        "then run hotsync-promote again: --map OLD=NEW for other cards, --network 3 for this server's own network."
    )


class AddressTaken(HotSyncError):
    """Somebody else still has {addresses}, and two servers must not have the same"""

    code = "step.address"
    exit_code = ExitCode.STEP
    hint = (
        "`systemctl status hotsync-returned` on the MASTER shows why it keeps it; or another computer has it: find out "
        "whose card that is. Then run the same command again: it goes on where it stopped."
    )


class CommandFailed(HotSyncError):
    """{program} failed ({status}): {detail}"""

    code = "command"
    exit_code = ExitCode.STEP
    hint = "The command that failed can be run by hand: {line}"

    def __init__(
        self,
        *,
        program: str,
        status: str,
        detail: str,
        line: str,
        returncode: int | None = None,
        stderr: str = "",
    ) -> None:
        self.returncode = returncode
        self.stderr = stderr
        super().__init__(hint=f"To see it by hand: {line}", program=program, status=status, detail=detail, line=line)
