"""What systemd says of units, as values."""

from __future__ import annotations

import pytest

from hotsync.backends.coverage_units import parse_units
from hotsync.model.coverage.units import UnitSeen

SHOWN = """\
ExecStart={ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 /data/app.py --config=/data/app.conf ; ignore_errors=no ; \
start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
ExecStart={ path=/bin/true ; argv[]=/bin/true ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; \
code=(null) ; status=0/0 }
EnvironmentFiles=/etc/default/app (ignore_errors=yes)
Id=app.service
Triggers=
ActiveState=active
FragmentPath=/etc/systemd/system/app.service
SourcePath=
Transient=no

Id=app.timer
Triggers=app.service
ActiveState=inactive
FragmentPath=/run/systemd/transient/app.timer
SourcePath=
Transient=yes
"""


@pytest.mark.parametrize(
    ("line", "starters"),
    [
        ("WantedBy=multi-user.target", ("multi-user.target",)),
        ("RequiredBy=a.service b.service", ("a.service", "b.service")),
        ("UpheldBy=shop.target", ("shop.target",)),
        ("TriggeredBy=app.socket", ("app.socket",)),
        ("BoundBy=dev-sda.device", ("dev-sda.device",)),
        ("OnFailureOf=job.service", ("job.service",)),
        ("BusName=org.app", ("org.app",)),
        ("Names=app.service dbus-org.app.service", ("dbus-org.app.service",)),
        ("DropInPaths=/run/systemd/system/app.service.d/50-pacemaker.conf", ("pacemaker.service",)),
        ("WantedBy=\nNames=app.service\nDropInPaths=/etc/systemd/system/app.service.d/own.conf", ()),
    ],
)
def test_whatever_starts_a_unit_is_known(line: str, starters: tuple[str, ...]) -> None:
    (unit,) = parse_units(f"Id=app.service\n{line}\nUnitFileState=disabled\n", {"dbus-org.app.service"})
    assert (unit.started_by, unit.state, unit.handmade) == (starters, "disabled", False)


def test_a_unit_of_the_administrators_is_known_with_its_instances() -> None:
    (unit,) = parse_units("Id=zfs-send@tank.service\n", (), {"zfs-send@.service"})
    assert unit.handmade


def test_a_unit_is_read_with_all_that_it_names() -> None:
    assert parse_units(SHOWN) == [
        UnitSeen(
            "app.service",
            active=True,
            file="/etc/systemd/system/app.service",
            programs=("/usr/bin/python3", "/bin/true"),
            files=("/usr/bin/python3", "/data/app.py", "/data/app.conf", "/bin/true", "/etc/default/app"),
        ),
        UnitSeen("app.timer", file="/run/systemd/transient/app.timer", triggers=("app.service",), transient=True),
    ]
