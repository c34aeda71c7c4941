"""A container is told if nothing that is carried can make it again, and what it keeps outside of the selection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotsync.model.coverage.containers import ContainerSeen, container_findings
from hotsync.model.coverage.findings import Kind
from hotsync.model.coverage.judge import Judge
from hotsync.model.explain import Mounted
from hotsync.model.selection import Action, Rule, Selection, Voice

JUDGE = Judge(Selection([Rule("/opt", Action.INCLUDE, "profile base", Voice.PROFILE)]), Mounted({}))
WEB = ContainerSeen("docker", "web", "nginx")


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (WEB, "made by hand"),
        (replace(WEB, files=("/data/compose.yml",)), "/data/compose.yml, which makes it: no rule names it"),
        (replace(WEB, unit="lost.service"), "nothing brings lost.service back"),
    ],
)
def test_what_nobody_can_make_again_is_told(container: ContainerSeen, said: str) -> None:
    (finding,) = container_findings([container], {"lost.service"}, JUDGE)
    assert (finding.kind, finding.name, finding.by) == (Kind.CONTAINER, "docker web", ("image nginx",))
    assert said in finding.reason


@pytest.mark.parametrize("container", [replace(WEB, files=("/opt/web/compose.yml",)), replace(WEB, unit="web.service")])
def test_what_carried_files_make_again_is_no_concern(container: ContainerSeen) -> None:
    assert container_findings([container], (), JUDGE) == []


def test_a_folder_of_two_containers_is_told_once() -> None:
    mine = replace(WEB, unit="web.service", mounts=("/data/web", "/opt/web", "/run/x", "/etc-like"))
    found = container_findings([mine, replace(mine, name="other")], (), JUDGE)
    assert [(finding.kind, finding.name) for finding in found] == [
        (Kind.VOLUME, "/data/web"),
        (Kind.VOLUME, "/etc-like"),
    ]
