"""The MASTER's numbers on the SLAVE: who moves, who is made, and what a hostile MASTER cannot get."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.accounts.moves import (
    Account,
    Move,
    NumberPlan,
    parse_groups,
    parse_users,
    plan_numbers,
    render_files,
    rounds,
)
from hotsync.model.accounts.numbers import HUMAN_NUMBERS, SYSTEM_NUMBERS, Foreign, covered, free_number
from tests.support.sizes import examples

OWN_PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
messagebus:x:100:106::/nonexistent:/usr/sbin/nologin
admin:x:1000:1000:Admin,,,:/home/admin:/bin/bash
"""
OWN_GROUP = """root:x:0:
daemon:x:1:
sudo:x:27:admin
nogroup:x:65534:
messagebus:x:106:
admin:x:1000:
"""
MASTER_PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
mysql:x:100:106:MySQL Server,,,:/nonexistent:/bin/false
messagebus:x:101:107::/nonexistent:/usr/sbin/nologin
alice:x:1001:1001:Alice:/home/alice:/bin/bash
"""
MASTER_GROUP = "root:x:0:\ndaemon:x:1:\nmysql:x:106:\nmessagebus:x:107:\nalice:x:1001:\n"


def plan(master_passwd: str, master_group: str, passwd: str = OWN_PASSWD, group: str = OWN_GROUP) -> NumberPlan:
    return plan_numbers(
        parse_users(master_passwd), parse_groups(master_group), parse_users(passwd), parse_groups(group)
    )


def applied(found: NumberPlan, passwd: str = OWN_PASSWD, group: str = OWN_GROUP) -> dict[str, str]:
    return render_files({"passwd": passwd, "group": group, "shadow": "", "gshadow": ""}, found)


def test_an_account_that_both_have_takes_the_masters_number_and_the_masters_new_one_gets_its_own() -> None:
    found = plan(MASTER_PASSWD, MASTER_GROUP)
    assert found.user_moves == (Move("messagebus", 100, 101),)
    assert found.group_moves == (Move("messagebus", 106, 107),)
    assert [user.name for user in found.new_users] == ["mysql", "alice"]
    users = parse_users(applied(found)["passwd"])
    assert (users["mysql"].number, users["mysql"].gid) == (100, 106)
    assert (users["messagebus"].number, users["messagebus"].gid) == (101, 107)
    assert users["admin"] == parse_users(OWN_PASSWD)["admin"]


def test_a_person_of_this_server_who_is_in_the_way_moves_and_stays_a_person_with_a_group_of_the_same_number() -> None:
    found = plan("bob:x:1000:1000::/home/bob:/bin/sh\n", "bob:x:1000:\n")
    assert found.user_moves == (Move("admin", 1000, 59999),)
    assert found.primary == (("admin", 59999),)
    users = parse_users(applied(found)["passwd"])
    assert (users["admin"].number, users["admin"].gid, users["bob"].number) == (59999, 59999, 1000)


def test_a_service_of_this_server_that_is_in_the_way_stays_the_systems_and_takes_what_neither_server_uses() -> None:
    passwd = OWN_PASSWD + "helper:x:600:600::/:/bin/false\n"
    found = plan("bus:x:100:600::/:/bin/sh\n", "bus:x:600:\nother:x:599:\n", passwd, OWN_GROUP + "helper:x:598:\n")
    assert found.user_moves == (Move("messagebus", 100, 597),)


def test_an_account_of_this_server_leaves_numbers_that_only_a_directory_of_the_master_knows() -> None:
    known = parse_users(OWN_PASSWD), parse_groups(OWN_GROUP)
    foreign = Foreign(users=(range(50, 200), range(1000, 59990)), groups=(range(27, 28), range(106, 107)))
    found = plan_numbers({}, {}, *known, foreign)
    assert found.user_moves == (Move("messagebus", 100, 600), Move("admin", 1000, 59999))
    assert found.group_moves == (Move("messagebus", 106, 600),)  # what every Debian has alike stays
    full = plan_numbers({}, {}, *known, Foreign(users=(range(1000, 60000),)))
    assert full.user_moves == ()
    assert full.refused == ("user admin: its number 1000 is the MASTER's, and no other one is free",)


def test_an_account_of_the_master_that_is_not_made_here_still_gets_its_number_for_its_files() -> None:
    found = plan("op:x:1000:0::/:/bin/sh\n", "wheel:x:0:\n")
    assert found.new_users == ()
    assert found.user_moves == (Move("admin", 1000, 59999),)
    rightful = plan("admin:x:1000:0::/:/bin/sh\n", "wheel:x:0:\n")
    assert rightful.user_moves == ()


def test_names_that_packages_and_samba_make_have_the_masters_numbers_and_odd_ones_are_nobodys() -> None:
    names = ("Debian-exim", "Debian-snmp", "_apt", "svc.Backup", "PC-01$", "2012SRV$", "3proxy", "A" * 32)
    lines = [f"{name}:x:{300 + place}:{300 + place}::/var/spool/x:/bin/false\n" for place, name in enumerate(names)]
    groups = "".join(f"{name}:x:{300 + place}:\n" for place, name in enumerate(names))
    own = "Debian-exim:x:112:117::/var/spool/exim4:/usr/sbin/nologin\n"
    found = plan("".join(lines), groups, OWN_PASSWD + own, OWN_GROUP + "Debian-exim:x:117:\n")
    assert found.refused == ()
    assert (found.user_moves, found.group_moves) == ((Move("Debian-exim", 112, 300),), (Move("Debian-exim", 117, 300),))
    texts = applied(found, OWN_PASSWD + own, OWN_GROUP + "Debian-exim:x:117:\n")
    assert {name: parse_users(texts["passwd"])[name].number for name in names} == {
        name: 300 + place for place, name in enumerate(names)
    }
    odd = ("1000", "-rf", "+nis", "~x", "a b", "a,b", "a/b", "$", "a$b", ".", "", "b" * 33, "é")
    refused = plan_numbers({name: Account(name, 400, 400) for name in odd}, {}, {}, {}).refused
    assert len(refused) == len(odd)


def test_people_of_the_master_are_locked_expired_and_without_a_home_and_services_have_no_password() -> None:
    texts = applied(plan(MASTER_PASSWD, MASTER_GROUP))
    assert "alice:!::::::1:\n" in texts["shadow"]
    assert "mysql:!:::::::\n" in texts["shadow"]
    assert "alice:x:1001:1001:Alice:/nonexistent:/usr/sbin/nologin\n" in texts["passwd"]
    assert "mysql:!::\n" in texts["gshadow"]
    assert all(line.count(":") == 8 for line in texts["shadow"].splitlines())


def test_nothing_of_the_master_becomes_root_here_and_root_here_never_moves() -> None:
    passwd = OWN_PASSWD + "toor:x:0:0::/root:/bin/sh\n"
    hostile = "evil:x:0:0::/:/bin/sh\nrooty:x:500:0::/:/bin/sh\ntoor:x:1234:1::/:/bin/sh\nroot:x:77:77::/:/bin/sh\n"
    found = plan(hostile + "x/../y:x:9:9::/:/bin/sh\n", "wheel:x:0:\nroot:x:5:\n", passwd)
    assert found.empty
    assert len(found.refused) == 5


def test_an_account_with_a_line_break_or_a_colon_in_it_never_reaches_our_files() -> None:
    hostile = {"eve": Account("eve", 700, 700, "x\nroot2:x:0:0", "/home/../etc", "/bin/sh")}
    texts = applied(plan_numbers(hostile, {"eve": Account("eve", 700)}, parse_users(OWN_PASSWD), {}))
    assert parse_users(texts["passwd"])["eve"].home == "/nonexistent"
    assert "root2" not in texts["passwd"]


def test_accounts_that_share_a_number_here_are_left_to_a_person_and_nothing_is_made_over_them() -> None:
    passwd = OWN_PASSWD + "twin:x:1000:1000::/home/twin:/bin/sh\n"
    found = plan("bob:x:1000:1000::/home/bob:/bin/sh\n", "bob:x:5000:\n", passwd)
    assert found.user_moves == ()
    assert not any(user.number == 1000 for user in found.new_users)
    assert any("shares its number" in reason for reason in found.refused)


def test_two_accounts_that_swap_are_parked_first_so_that_a_walk_may_be_repeated() -> None:
    first, second = rounds([Move("a", 100, 101), Move("b", 101, 100)])
    assert first.keys() == {100, 101}
    assert {old: second[parked] for old, parked in first.items()} == {100: 101, 101: 100}
    assert rounds([Move("a", 100, 500)]) == ({100: 500},)
    assert rounds([]) == ()


ranges = st.lists(st.tuples(st.integers(0, 61000), st.integers(1, 70000)), max_size=4).map(
    lambda found: [range(first, first + length) for first, length in found]
)


@given(st.booleans(), st.sets(st.integers(90, 1100) | st.integers(59000, 66000)), ranges, st.integers(-1, 70000))
@settings(max_examples=examples(50), deadline=None)
def test_a_free_number_is_of_its_kind_and_nobody_elses(
    human: bool, taken: set[int], foreign: list[range], liked: int
) -> None:
    kind = HUMAN_NUMBERS if human else SYSTEM_NUMBERS
    found = free_number(human, taken, foreign, liked)

    def able(number: int) -> bool:
        return number in kind and number not in taken and not covered(number, foreign)

    assert found is not None and able(found) if found is not None else not any(map(able, kind))
    if able(liked):
        assert found == liked


names = st.sampled_from(["a", "b", "c", "d", "e", "f"])
accounts = st.dictionaries(names, st.integers(1, 8)).map(
    lambda found: {name: Account(name, number, 65534) for name, number in found.items()}
)
NOGROUP = {"nogroup": Account("nogroup", 65534)}


@given(master=accounts, own=accounts)
@settings(max_examples=examples(300), deadline=None)
def test_afterwards_every_account_of_the_master_has_its_number_or_the_plan_says_why_not(
    master: dict[str, Account], own: dict[str, Account]
) -> None:
    found = plan_numbers(master, NOGROUP, own, NOGROUP)
    text = "".join(f"{name}:x:{account.number}:65534::/:/bin/sh\n" for name, account in own.items())
    texts = render_files({"passwd": text, "group": "nogroup:x:65534:\n"}, found)
    after = parse_users(texts["passwd"])
    assert after.keys() == own.keys() | {user.name for user in found.new_users}
    for name, account in master.items():
        told = any(f"user {name}:" in reason for reason in found.refused)
        stuck = any("shares its number" in reason for reason in found.refused)
        assert (name in after and after[name].number == account.number) or told or stuck
    assert render_files(texts, found) == texts
    if not found.refused and len({account.number for account in master.values()}) == len(master):
        assert plan_numbers(master, NOGROUP, after, NOGROUP).empty
        if len({account.number for account in own.values()}) == len(own):
            assert len({account.number for account in after.values()}) == len(after)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), unique_by=(lambda m: m[0], lambda m: m[1])), st.data())
@settings(max_examples=examples(200), deadline=None)
def test_files_end_with_the_right_number_however_often_each_walk_is_cut_and_repeated(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    moves = [Move(str(old), old, new) for old, new in pairs]
    files = list(range(1, 10))
    for numbers in rounds(moves):
        for upto in [*data.draw(st.lists(st.integers(0, 9), max_size=3)), 9]:
            files = [numbers.get(n, n) if place < upto else n for place, n in enumerate(files)]
    wanted = {move.old: move.new for move in moves}
    assert files == [wanted.get(number, number) for number in range(1, 10)]
