"""What a job of cron starts is told if nothing carries it; what it only writes to is not."""

from __future__ import annotations

import pytest

from hotsync.model.coverage.findings import Kind
from hotsync.model.coverage.jobs import JobSeen, Named, job_findings, named_in
from hotsync.model.coverage.judge import Judge
from hotsync.model.explain import Mounted
from hotsync.model.selection import Action, Rule, Selection, Voice

JUDGE = Judge(
    Selection([Rule(path, Action.INCLUDE, "profile base", Voice.PROFILE) for path in ("/etc", "/usr/local")]),
    Mounted({}),
    {"/usr/bin/php"},
)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("*/5 * * * * root /data/job.sh --all", [Named("/data/job.sh", starts=True)]),
        ("@daily\tapp\t/data/job.sh", [Named("/data/job.sh", starts=True)]),
        (
            "0 3 * * mon-fri root cd /data/app && php ./cron.php >> /data/log 2>/data/errors",
            [Named("/data/app")],
        ),
        (
            "0 3 1,15 jan * root test -x /usr/sbin/x || ( /usr/bin/php -f '/data/a.php' < /data/in )",
            [Named("/usr/sbin/x"), Named("/usr/bin/php"), Named("/data/a.php"), Named("/data/in")],
        ),
        ("0 3 * * * root mail -s x%/not/a/path", []),
        ("PATH=/data/bin:/usr/bin", []),
        ("# 0 3 * * * root /data/job.sh", []),
        ("0 3 * * * root curl https://example.org/data rsync://host/data ~/bin/x", []),
        ("0 3 * * * root", []),
        ("", []),
    ],
)
def test_the_paths_that_a_job_names_are_read_without_what_it_writes_to(line: str, named: list[Named]) -> None:
    assert list(named_in(f"{line}\n", users=True)) == named


def test_a_users_crontab_has_no_user_in_its_lines() -> None:
    assert list(named_in("  0 3 * * * /data/job.sh /data/x,\n", users=False)) == [
        Named("/data/job.sh", starts=True),
        Named("/data/x"),
    ]


def test_what_nothing_carries_is_told_once_with_its_crontab() -> None:
    jobs = [
        JobSeen("/etc/cron.d/own", named)
        for named in (
            Named("/data/job.sh", starts=True),
            Named("/data/job.sh", starts=True),
            Named("/usr/local/bin/job", starts=True),
            Named("/usr/bin/php", starts=True),
            Named("/var/cache/app/list"),
            Named("/var/cache/app/job", starts=True),
            Named("/data/app"),
        )
    ]
    found = [(each.kind, each.name, each.reason.partition(":")[0]) for each in job_findings(jobs, JUDGE)]
    assert found == [
        (Kind.JOB, "/etc/cron.d/own", "it names /data/app"),
        (Kind.JOB, "/etc/cron.d/own", "it starts /data/job.sh"),
        (Kind.JOB, "/etc/cron.d/own", "it starts /var/cache/app/job"),
    ]
