"""What a promotion asks for: what ran on the MASTER, by the profiles of what was installed there."""

from __future__ import annotations

import pytest

from hotsync.engine.checks import named_checks, ports_of
from hotsync.profiles.catalog import parse_profile

SHOP = """[profile]
name = "shop"
title = "Shop"
[services]
mute = ["shop@.service", "shop.socket"]
start = ["shop.service", "shopd.service"]
[[checks]]
kind = "port"
port = 8080
title = "it answers"
[[checks]]
kind = "unit"
unit = "shop.service"
title = "it runs"
[[checks]]
kind = "unit"
unit = "shopd.service"
title = "it runs"
[[checks]]
kind = "unit"
unit = "dbus.service"
title = "the bus runs"
"""
PORT, HERE, THERE, BUS = "shop.port.1", "shop.unit.2", "shop.unit.3", "shop.unit.4"


@pytest.mark.parametrize(
    ("ran", "asked"),
    [
        ([], [PORT, HERE, THERE, BUS]),
        (["ssh.service"], []),
        (["shop.service"], [PORT, HERE, BUS]),
        (["shopd.service"], [PORT, THERE, BUS]),
        (["shop@second.service"], [PORT, BUS]),
        (["shop.socket"], [PORT, BUS]),
    ],
)
def test_what_is_installed_on_the_master_and_did_not_run_there_is_not_asked_for(
    ran: list[str], asked: list[str]
) -> None:
    assert list(named_checks([parse_profile(SHOP, "shop.toml")], frozenset(ran))) == asked


def test_an_application_without_units_of_its_own_is_always_asked_for() -> None:
    text = SHOP.partition("[services]")[0] + "[[checks]]" + SHOP.partition("[[checks]]")[2]
    assert len(named_checks([parse_profile(text, "shop.toml")], frozenset({"ssh.service"}))) == 4


def test_the_ports_of_services_are_those_that_can_be_reached_from_outside() -> None:
    text = """[profile]
name = "all"
title = "All"
[[checks]]
kind = "smtp"
title = "mail"
[[checks]]
kind = "imap"
title = "boxes"
port = 1143
[[checks]]
kind = "smb"
title = "shares"
[[checks]]
kind = "ldap"
title = "people"
[[checks]]
kind = "http"
title = "site"
url = "https://localhost/"
[[checks]]
kind = "http"
title = "other site"
url = "http://localhost:8008/x"
[[checks]]
kind = "mariadb"
title = "by a socket"
[[checks]]
kind = "unit"
title = "nobody calls it"
unit = "cron.service"
"""
    specs = named_checks([parse_profile(SHOP, "shop.toml"), parse_profile(text, "all.toml")]).values()
    assert ports_of(specs) == {25, 389, 443, 445, 1143, 8008, 8080}
