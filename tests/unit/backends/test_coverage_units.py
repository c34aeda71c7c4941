"""What systemd says of units, as values."""

from __future__ import annotations

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
