"""Which files of the SLAVE's /etc stay."""

from __future__ import annotations

from hotsync.model.etc_files import files_that_stay, only_here

AGENT = "systemd/system/dev-virtio.device.wants/qemu-guest-agent.service"
OWNED = {"/etc/qemu/agent.conf", "/lib/systemd/system/qemu-guest-agent.service", "/usr/bin/vim.tiny", "/etc/ssh/moduli"}


def test_a_file_stays_only_if_a_package_that_the_master_lacks_owns_it() -> None:
    own = {"qemu/agent.conf": "", "local.conf": "", "ssh/moduli": "", "ssh/sshd_config": ""}
    assert files_that_stay(own, {"ssh/sshd_config", "ssh/moduli"}, OWNED) == ("qemu/agent.conf",)


def test_a_link_stays_if_it_leads_to_such_a_package_on_split_and_merged_usr() -> None:
    own = {
        AGENT: "/usr/lib/systemd/system/qemu-guest-agent.service",
        "alternatives/vi": "/usr/bin/vim.tiny",
        "rc2.d/S01qemu": "../init.d/qemu",
        "rc2.d/S02agent": "../qemu/agent.conf",
        "systemd/system/multi-user.target.wants/cron.service": "/lib/systemd/system/cron.service",
    }
    assert files_that_stay(own, set(), OWNED) == (
        "alternatives/vi",
        "rc2.d/S02agent",
        AGENT,
    )


def test_packages_that_only_this_host_has() -> None:
    assert only_here(["a", "b", "c"], ["b"]) == ("a", "c")
