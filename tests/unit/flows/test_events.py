from pathlib import Path

import pytest

from hotsync.errors import CommandFailed, ExitCode, Refused
from hotsync.flows import events
from hotsync.flows.events import BUILT_IN, Invocation, NoSuchEvent, Outlets, actions_of, known_events, run_event
from hotsync.model.host_events import EventFacts, HostAction
from hotsync.system.paths import Paths


class Ears:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.complaints: list[str] = []
        self.steps: list[dict[str, object]] = []
        self.outlets = Outlets(self.log.append, self.complaints.append, self.steps.append)


@pytest.fixture
def ears() -> Ears:
    return Ears()


def signal(tmp_path: Path, ears: Ears, event: str, *args: str) -> bool:
    return run_event(Invocation(Paths(tmp_path), event, args, lambda _line: None), ears.outlets)


def without_times(lines: list[str]) -> list[str]:
    return [line.partition(" [")[0] for line in lines]


def test_the_save_is_built_in() -> None:
    assert "nethserver-hotsync-save" in BUILT_IN


def test_a_built_in_action_that_does_well_is_logged_as_the_original_does(
    tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUILT_IN, "greet", lambda call: call.say(f"hello {' '.join(call.args)}"))
    assert signal(tmp_path, ears, "greet", "a", "b")
    assert without_times(ears.log) == [
        "Event: greet a b",
        "hello a b",
        "Action: hotsync:greet SUCCESS",
        "Event: greet SUCCESS",
    ]
    assert ears.complaints == []
    assert [{**step, "time": 0} if "time" in step else step for step in ears.steps] == [
        {"event": "greet", "args": "a b", "steps": 1},
        {"event": "greet", "action": "hotsync:greet", "state": "running", "step": 0},
        {
            "event": "greet",
            "action": "hotsync:greet",
            "state": "done",
            "exit": 0,
            "time": 0,
            "step": 0,
            "progress": "1.00",
        },
        {"event": "greet", "status": "success"},
    ]


def test_a_refusal_is_said_with_its_hint_and_fails_the_event_with_its_own_number(
    tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_call: Invocation) -> None:
        raise Refused(reason="not now", hint="Wait.")

    monkeypatch.setitem(BUILT_IN, "try", refuse)
    assert not signal(tmp_path, ears, "try")
    assert without_times(ears.complaints) == ["not now", "Wait.", "Action: hotsync:try FAILED: 3"]
    assert without_times(ears.log)[1:] == [*without_times(ears.complaints), "Event: try FAILED"]
    assert ears.steps[-2]["exit"] == ExitCode.REFUSED << 8
    assert ears.steps[-1] == {"event": "try", "status": "failed"}


def test_a_bug_in_an_action_is_called_one_and_its_traceback_is_in_the_log(
    tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_(_call: Invocation) -> None:
        raise KeyError("x")

    monkeypatch.setitem(BUILT_IN, "break", break_)
    assert not signal(tmp_path, ears, "break")
    assert ears.complaints[0] == "a bug in HotSync: KeyError: 'x'"
    assert any("Traceback" in line for line in ears.log)


def test_a_full_disk_is_no_bug(tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(_call: Invocation) -> None:
        raise OSError(28, "No space left on device", "/var/lib/hotsync/role.json")

    monkeypatch.setitem(BUILT_IN, "fill", fill)
    assert not signal(tmp_path, ears, "fill")
    assert ears.complaints[0] == "/var/lib/hotsync/role.json: No space left on device"


@pytest.mark.parametrize("event", ["", "nothing", "..", "a/b", "/etc", ".hidden"])
def test_an_event_that_nobody_knows_is_refused(event: str, tmp_path: Path) -> None:
    with pytest.raises(NoSuchEvent):
        actions_of(Paths(tmp_path), event)


def test_a_folder_makes_an_event_and_only_its_executables_run_in_name_order(tmp_path: Path) -> None:
    folder = tmp_path / "etc/hotsync/events/mine.d"
    (folder / "sub").mkdir(parents=True)
    for name, mode in (("S20b", 0o755), ("S10a", 0o755), ("S05off", 0o644)):
        (folder / name).touch()
        (folder / name).chmod(mode)
    assert actions_of(Paths(tmp_path), "mine") == (
        [str(folder / "S10a"), str(folder / "S20b")],
        [str(folder / "S05off")],
    )


def test_an_empty_folder_is_a_success(tmp_path: Path, ears: Ears) -> None:
    (tmp_path / "etc/hotsync/events/mine.d").mkdir(parents=True)
    assert signal(tmp_path, ears, "mine")
    assert ears.log == ["Event: mine", "Event: mine SUCCESS"]


def test_importing_the_events_imports_nothing_heavy() -> None:
    assert "pydantic" not in vars(events)


def a_failure(program: str) -> CommandFailed:
    return CommandFailed(program=program, status="exit 1", detail="line 3: syntax error", line=f"{program} --check")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A host with nftables, fail2ban and hotsyncd; the action of nftables fails. Return what was done."""
    done: list[str] = []
    running = frozenset({"nftables.service", "fail2ban.service", "hotsyncd.service"})

    def perform(action: HostAction) -> None:
        done.append(action.name)
        if action.name == "nftables":
            raise a_failure("nft")

    monkeypatch.setattr("hotsync.backends.host_events.read_event_facts", lambda _paths: EventFacts(running=running))
    monkeypatch.setattr("hotsync.backends.host_events.perform", perform)
    return done


def test_each_action_of_nethservers_events_is_named_and_the_others_follow_one_that_fails(
    tmp_path: Path, ears: Ears, done: list[str]
) -> None:
    event = "nethserver-firewall-base-update"
    assert not signal(tmp_path, ears, event)
    assert done == ["nftables", "fail2ban", "hotsyncd"]
    assert without_times(ears.log) == [
        f"Event: {event}",
        "nft failed (exit 1): line 3: syntax error",
        "To see it by hand: nft --check",
        f"Action: hotsync:{event}/nftables FAILED: 9",
        f"Action: hotsync:{event}/fail2ban SUCCESS",
        f"Action: hotsync:{event}/hotsyncd SUCCESS",
        f"Event: {event} FAILED",
    ]


def test_an_event_to_which_nothing_here_belongs_does_well_and_says_so(
    tmp_path: Path, ears: Ears, done: list[str]
) -> None:
    assert signal(tmp_path, ears, "nethserver-dc-save")
    assert (done, ears.complaints) == ([], [])
    assert "Nothing to do: Samba AD DC is not in use here." in ears.log


def test_an_event_fails_where_the_host_cannot_be_asked(
    tmp_path: Path, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(_paths: Paths) -> EventFacts:
        raise a_failure("systemctl")

    monkeypatch.setattr("hotsync.backends.host_events.read_event_facts", ask)
    assert not signal(tmp_path, ears, "interface-update")
    assert ears.complaints[0] == "systemctl failed (exit 1): line 3: syntax error"


def test_on_nethserver_its_own_packages_answer_all_but_hotsyncs_two_events(tmp_path: Path) -> None:
    assert {"interface-update", "nethserver-sssd-save", *BUILT_IN} <= known_events(Paths(tmp_path))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nethserver-release").touch()
    assert known_events(Paths(tmp_path)) == {"nethserver-hotsync-save", "post-restore-data"}
    with pytest.raises(NoSuchEvent):
        actions_of(Paths(tmp_path), "interface-update")
