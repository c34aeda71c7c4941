"""Where quotas are on, by the kernel's list of mounts, and what repquota says of them."""

from __future__ import annotations

from hotsync.backends.quotas import parse_report, switched_on
from hotsync.model.facts import LimitFact
from hotsync.system.mounts import parse_mountinfo

MOUNTS = (
    "30 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
    "31 30 8:2 / /home rw shared:2 - ext4 /dev/sda2 rw,quota,usrquota,grpquota\n"
    "32 30 8:3 / /srv rw shared:3 - xfs /dev/sda3 rw,attr2,inode64,noquota\n"
    "33 30 8:4 / /data rw shared:4 - xfs /dev/sda4 rw,usrquota,prjquota\n"
    "34 30 8:5 / /old rw shared:5 - ext4 /dev/sda5 rw,jqfmt=vfsv1,usrjquota=aquota.user\n"
    "35 30 8:2 /anna /export rw shared:2 - ext4 /dev/sda2 rw,quota,usrquota\n"
)

REPORT = """\
*** Report for user quotas on device /dev/loop0
Block grace time: 604800; Inode grace time: 604800
                        Block limits                File limits
User            used    soft    hard  grace    used  soft  hard  grace
----------------------------------------------------------------------
#0        --      20       0       0      0       2     0     0      0
#1000     --      24   10240   20480      0       6     0     0      0
#70001    ++     512     100    1024 1793800000   9     5    50 1793800001
#1001     --       0       0       0      0       0     0     7      0
"""


def test_quotas_are_on_where_the_file_system_says_so_each_kind_by_itself() -> None:
    assert switched_on(parse_mountinfo(MOUNTS)) == {
        ("/data", "project"): "/dev/sda4", ("/data", "user"): "/dev/sda4", ("/home", "group"): "/dev/sda2",
        ("/home", "user"): "/dev/sda2", ("/old", "user"): "/dev/sda5",
    }  # fmt: skip


def test_a_report_tells_whose_limits_are_any_also_who_is_over_them_or_has_no_file() -> None:
    assert list(parse_report(REPORT)) == [
        LimitFact(1000, 10240, 20480, 0, 0),
        LimitFact(70001, 100, 1024, 5, 50),
        LimitFact(1001, 0, 0, 0, 7),
    ]
