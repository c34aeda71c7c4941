"""What NethServer's events do on another system: tables of hosts and of what follows from them."""

import pytest

from hotsync.model.host_events import EVENTS, UNITS, EventFacts, actions_at, nothing_to_do

INTERFACES, FIREWALL = "interface-update", "nethserver-firewall-base-update"
HOSTS, DC, SSSD = "nethserver-hosts-save", "nethserver-dc-save", "nethserver-sssd-save"


def host(*running: str, enabled: tuple[str, ...] = (), programs: tuple[str, ...] = ()) -> EventFacts:
    return EventFacts(
        running=frozenset(f"{name}.service" for name in running),
        enabled=frozenset(f"{name}.service" for name in enabled),
        programs=frozenset(programs),
    )


def names(event: str, facts: EventFacts) -> list[str]:
    return [action.name for action in actions_at(event, facts)]


def lines(event: str, facts: EventFacts) -> list[str]:
    return [" ".join(each.argv) for action in actions_at(event, facts) for each in action.commands]


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_a_host_with_none_of_its_services_has_nothing_to_do_and_is_told_what_was_looked_for(event: str) -> None:
    assert actions_at(event, EventFacts()) == ()
    assert nothing_to_do(event).startswith("Nothing to do: ")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (host("shorewall"), ["shorewall check", "systemctl reload-or-restart shorewall.service"]),
        (host("firewalld"), ["firewall-cmd --check-config", "firewall-cmd --reload"]),
        (host(enabled=("firewalld",)), ["systemctl restart firewalld.service"]),
        (
            host("nftables"),
            ["nft --check --file /etc/nftables.conf", "systemctl reload-or-restart nftables.service"],
        ),
        (host(enabled=("netfilter-persistent",)), ["systemctl restart netfilter-persistent.service"]),
        (host("ufw", programs=("ufw",)), ["ufw reload"]),
        (host("ufw"), []),
    ],
)
def test_rules_are_checked_where_they_can_be_before_they_are_loaded(facts: EventFacts, expected: list[str]) -> None:
    assert lines(FIREWALL, facts) == expected


def test_what_keeps_rules_beside_the_firewalls_puts_them_in_again_afterwards() -> None:
    assert names(FIREWALL, host("nftables", "fail2ban", "hotsyncd")) == ["nftables", "fail2ban", "hotsyncd"]
    assert names(FIREWALL, host("fail2ban", "hotsyncd")) == []


def test_the_network_follows_its_files_then_names_and_the_firewall() -> None:
    facts = host("systemd-networkd", "dnsmasq", "nftables", "hotsyncd")
    assert names(INTERFACES, facts) == ["networkd", "dnsmasq", "nftables", "hotsyncd"]
    assert lines(INTERFACES, facts)[0] == "networkctl reload"


def test_netplan_writes_for_the_others_and_is_asked_alone() -> None:
    facts = EventFacts(
        running=frozenset({"systemd-networkd.service", "NetworkManager.service"}),
        programs=frozenset({"netplan"}),
        netplan=True,
    )
    assert lines(INTERFACES, facts) == ["netplan generate", "netplan apply"]


def test_files_of_netplan_without_netplan_configure_nothing() -> None:
    facts = EventFacts(running=frozenset({"systemd-networkd.service"}), netplan=True)
    assert names(INTERFACES, facts) == ["networkd"]


def test_each_device_of_networkmanager_is_an_action_of_its_own() -> None:
    facts = EventFacts(running=frozenset({"NetworkManager.service"}), devices=("eth0", "br0"))
    assert lines(INTERFACES, facts) == [
        "nmcli connection reload",
        "nmcli device reapply eth0",
        "nmcli device reapply br0",
    ]


@pytest.mark.parametrize(("with_files", "expected"), [(True, ["ifupdown"]), (False, [])])
def test_ifupdown_is_restarted_only_where_it_configures_something(with_files: bool, expected: list[str]) -> None:
    facts = EventFacts(enabled=frozenset({"networking.service"}), ifupdown=with_files)
    assert names(INTERFACES, facts) == expected


@pytest.mark.parametrize(
    ("event", "facts", "expected"),
    [
        (HOSTS, host("dnsmasq"), ["dnsmasq --test", "systemctl restart dnsmasq.service"]),
        (HOSTS, host("systemd-resolved", "nscd"), ["resolvectl flush-caches", "nscd --invalidate=hosts"]),
        (DC, host("samba-ad-dc", "samba"), ["testparm --suppress-prompt", "systemctl restart samba-ad-dc.service"]),
        (DC, host("smbd"), []),
        (SSSD, host("sssd"), ["systemctl restart sssd.service"]),
        (
            SSSD,
            host("sssd", "winbind", programs=("sssctl", "sss_cache", "net")),
            [
                "sssctl config-check",
                "sss_cache --everything",
                "systemctl restart sssd.service",
                "net cache flush",
                "systemctl restart winbind.service",
            ],
        ),
    ],
)
def test_names_and_accounts_are_renewed_by_the_services_that_are_used(
    event: str, facts: EventFacts, expected: list[str]
) -> None:
    assert lines(event, facts) == expected


def test_an_empty_cache_of_accounts_is_no_failure() -> None:
    (action,) = actions_at(SSSD, host("sssd", programs=("sss_cache",)))
    assert action.commands[0].ok == (0, 2)


def test_every_unit_of_a_decision_is_asked_for() -> None:
    everything = EventFacts(
        running=frozenset(UNITS), programs=frozenset({"ufw", "net", "sssctl", "sss_cache"}), ifupdown=True
    )
    used = {
        word
        for event in EVENTS
        for action in actions_at(event, everything)
        for each in action.commands
        for word in each.argv
        if word.endswith(".service")
    }
    assert used <= set(UNITS)
    assert {action.name for event in EVENTS for action in actions_at(event, everything)} == {
        "shorewall", "shorewall6", "firewalld", "nftables", "netfilter-persistent", "iptables", "ip6tables", "ufw",
        "fail2ban", "hotsyncd", "networkd", "NetworkManager", "ifupdown", "network-scripts", "dnsmasq", "resolved",
        "nscd", "samba-ad-dc", "sssd", "winbind",
    }  # fmt: skip
