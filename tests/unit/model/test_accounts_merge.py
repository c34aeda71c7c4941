"""The account files of a promoted server."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hotsync.model.accounts.merge import merge_accounts
from hotsync.model.accounts.moves import Move, NumberPlan, parse_users, render_files
from tests.support.sizes import examples

MASTER = {
    "passwd": "root:x:0:0:r:/root:/bin/bash\npostfix:x:106:113::/var/spool/postfix:/bin/false\n"
    "anna:x:1000:1000::/home/anna:/bin/bash\n+nis-line\n",
    "group": "root:x:0:\npostfix:x:113:\nanna:x:1000:\nshared:x:105:anna\n",
    "shadow": "root:MASTERS:1:0:::::\npostfix:!:1::::::\nanna:ANNAS:1:0:::::\n",
    "gshadow": "root:*::\n",
    "subuid": "anna:100000:65536\n",
}


def test_the_masters_come_first_and_as_they_were_with_their_passwords() -> None:
    own = {"passwd": "root:x:0:0:other:/root:/bin/sh\n", "shadow": "root:SLAVES:1::::::\n", "group": "root:x:0:\n"}
    merged = merge_accounts(MASTER, own)
    for name in ("passwd", "group", "shadow", "gshadow", "subuid"):
        assert merged.texts[name] == MASTER[name]
    assert merged.added == ()


def test_an_account_of_a_package_that_only_the_slave_has_stays_and_its_people_go() -> None:
    own = {
        "passwd": "qemu:x:111:112::/:/bin/false\nboss:x:1000:1000::/home/boss:/bin/sh\nnobody:x:65534:65534::/:/x\n",
        "group": "qemu:x:112:\nboss:x:1000:\nnogroup:x:65534:\n",
        "shadow": "qemu:!:1::::::\nboss:HASH:1::::::\n",
        "subuid": "boss:200000:65536\nqemu:300000:65536\n",
    }
    merged = merge_accounts(MASTER, own)
    assert merged.texts["passwd"] == MASTER["passwd"] + "qemu:x:111:112::/:/bin/false\nnobody:x:65534:65534::/:/x\n"
    assert merged.texts["shadow"] == MASTER["shadow"] + "qemu:!:1::::::\nnobody:!:::::::\n"
    assert merged.texts["group"] == MASTER["group"] + "qemu:x:112:\nnogroup:x:65534:\n"
    assert merged.texts["subuid"] == MASTER["subuid"] + "qemu:300000:65536\n"
    assert merged.added == ("qemu", "nobody")
    assert "HASH" not in "".join(merged.texts.values())


def test_an_account_with_capitals_has_the_masters_number_and_its_service_of_the_slave_the_right_group() -> None:
    master = {
        "passwd": "Debian-exim:x:110:115::/:/x\n",
        "group": "Debian-exim:x:115:\n",
        "shadow": "Debian-exim:!:1:::\n",
    }
    own = {
        "passwd": "Debian-snmp:x:110:116::/:/x\nscan:x:130:117::/:/x\nDebian-exim:x:112:117::/:/x\n",
        "group": "Debian-snmp:x:116:\nDebian-exim:x:117:scan\n",
    }
    merged = merge_accounts(master, own)
    assert merged.texts["passwd"].splitlines() == [
        "Debian-exim:x:110:115::/:/x", "Debian-snmp:x:600:116::/:/x", "scan:x:130:115::/:/x",
    ]  # fmt: skip
    assert merged.texts["group"] == "Debian-exim:x:115:scan\nDebian-snmp:x:116:\n"


def test_a_number_that_the_master_uses_is_never_given_to_somebody_else() -> None:
    own = {"passwd": "helper:x:106:105::/:/bin/false\n", "group": "helper:x:105:\n"}
    merged = merge_accounts(MASTER, own)
    assert merged.moved == {"helper": 600, "group helper": 600}
    assert merged.texts["passwd"].endswith("helper:x:600:600::/:/bin/false\n")
    assert merged.texts["group"].endswith("helper:x:600:\n")


def test_a_user_whose_group_has_another_number_on_the_master_follows_the_groups_name() -> None:
    own = {"passwd": "watcher:x:130:140::/:/bin/false\n", "group": "postfix:x:140:\n"}
    assert merge_accounts(MASTER, own).texts["passwd"].endswith("watcher:x:130:113::/:/bin/false\n")


def test_a_service_of_the_slave_stays_a_member_and_its_groups_lose_the_slaves_people_and_the_masters_namesakes() -> (
    None
):
    own = {
        "passwd": "qemu:x:111:112::/:/bin/false\npostfix:x:106:113::/:/x\nanna:x:1001:1001::/:/x\n"
        "max:x:1002:100::/:/x\n",
        "group": "qemu:x:112:\nkvm:x:130:qemu,max,anna,postfix,gone\nshared:x:105:max,qemu\nanna:x:1001:qemu\n",
        "gshadow": "kvm:HASH:max:qemu,max,anna,postfix\nshared:!::max,qemu\nqemu:!::\n",
    }
    texts = merge_accounts(MASTER | {"gshadow": "root:*::\nshared:!:anna:anna\n"}, own).texts
    assert "kvm:x:130:qemu,postfix\n" in texts["group"], "the MASTER's anna is another one than the SLAVE's"
    assert "shared:x:105:anna,qemu\n" in texts["group"]
    assert "anna:x:1000:qemu\n" in texts["group"]
    assert texts["gshadow"] == "root:*::\nshared:!:anna:anna,qemu\nqemu:!::\nkvm:!::qemu,postfix\n"


def test_what_stays_of_the_slave_has_no_password_and_no_other_name_of_its_root_stays() -> None:
    own = {
        "passwd": "toor:x:0:0::/root:/bin/sh\nopen::120:120::/:/bin/sh\nhashed:x:121:121::/:/bin/sh\n"
        "disabled:x:122:122::/:/bin/sh\nopen:x:123:123::/:/bin/sh\n",
        "shadow": "toor:HASH:1::::::\nhashed:HASH:17::::::\ndisabled:!*:18:0:99999:7:::\n",
    }
    merged = merge_accounts(MASTER, own)
    assert merged.added == ("open", "hashed", "disabled")
    assert "open:x:120:120::/:/bin/sh\n" in merged.texts["passwd"]
    assert merged.texts["shadow"].endswith("open:!:::::::\nhashed:!:17::::::\ndisabled:!*:18:0:99999:7:::\n")
    without = merge_accounts({"passwd": MASTER["passwd"]}, own)
    assert "open:*:120:" in without.texts["passwd"]
    assert without.texts["shadow"] == ""


def test_the_group_that_a_service_starts_with_stays_whatever_its_number() -> None:
    own = {"passwd": "scan:x:140:1500::/:/x\n", "group": "scan:x:1500:\nstaff2:x:1501:scan\n"}
    merged = merge_accounts(MASTER, own)
    assert merged.texts["group"] == MASTER["group"] + "scan:x:1500:\n"
    moved = merge_accounts(MASTER, {"passwd": "scan:x:140:1000::/:/x\n", "group": "scan:x:1000:\n"})
    assert moved.texts["group"].endswith("scan:x:59999:\n")
    assert moved.texts["passwd"].endswith("scan:x:140:59999::/:/x\n")


def test_sub_ids_that_the_master_gives_to_others_are_not_taken_over_and_told() -> None:
    own = {
        "passwd": "qemu:x:111:112::/:/bin/false\n",
        "subuid": "qemu:165535:2\n",
        "subgid": "qemu:165536:9\nqemu:x:1\n",
    }
    merged = merge_accounts(MASTER | {"subgid": "anna:100000:65536\n"}, own)
    assert merged.texts["subuid"] == MASTER["subuid"]
    assert merged.texts["subgid"] == "anna:100000:65536\nqemu:165536:9\n"
    assert merged.lost == ("qemu:165535:2 (subuid)",)


system = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(100, 108) | st.integers(998, 1003), max_size=6)


@given(system, system, st.dictionaries(st.sampled_from("abcdefgh"), st.integers(998, 1003), max_size=4))
@settings(max_examples=examples(200), deadline=None)
def test_no_two_accounts_share_a_number_that_they_did_not_share_before(
    theirs: dict[str, int], mine: dict[str, int], groups: dict[str, int]
) -> None:
    def text(accounts: dict[str, int]) -> str:
        numbers: dict[int, str] = {}
        for name, number in accounts.items():
            numbers.setdefault(number, name)
        return "".join(f"{name}:x:{number}:{number}::/:/x\n" for number, name in numbers.items())

    def lines(accounts: dict[str, int]) -> str:
        return "".join(":".join(line.split(":")[:3]) + ":\n" for line in text(accounts).splitlines())

    merged = merge_accounts(
        {"passwd": text(theirs), "group": lines(theirs)}, {"passwd": text(mine), "group": lines(mine | groups)}
    )
    for name in ("passwd", "group"):
        numbers = [line.split(":")[2] for line in merged.texts[name].splitlines()]
        assert len(numbers) == len(set(numbers))
    assert merged.texts["passwd"].startswith(text(theirs))


def test_a_line_whose_number_is_none_travels_as_it_is() -> None:
    odd = f"odd:x:²:²::/:/x\nlong:x:{'1' * 5000}:5::/:/x\n"
    own = {"passwd": "qemu:x:111:²::/:/bin/false\n" + odd, "group": "qemu:x:112:\n", "subuid": "qemu:²:²\n"}
    merged = merge_accounts({**MASTER, "passwd": MASTER["passwd"] + odd, "subuid": "odd:²:²\n"}, own)
    assert merged.texts["passwd"] == MASTER["passwd"] + odd + "qemu:x:111:²::/:/bin/false\n"
    assert merged.texts["subuid"].startswith("odd:²:²\n")


# what str.splitlines takes for the end of a line, and the C library does not
INSIDE = st.text(st.sampled_from("a \x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\r"), min_size=1, max_size=6)


@settings(max_examples=examples(30), deadline=None)
@given(comment=INSIDE, number=st.integers(2000, 3000))
def test_a_comment_of_an_account_may_hold_whatever_ends_no_line_for_the_system(comment: str, number: int) -> None:
    line = f"eva:x:1001:1001:{comment}:/home/eva:/bin/bash\n"
    theirs = {**MASTER, "passwd": MASTER["passwd"].replace("+nis-line\n", line)}
    assert merge_accounts(theirs, {}).texts["passwd"] == theirs["passwd"]
    assert parse_users(theirs["passwd"])["eva"].comment == comment
    plan = NumberPlan(user_moves=(Move("eva", 1001, number),))
    renumbered = render_files({"passwd": theirs["passwd"], "group": theirs["group"]}, plan)["passwd"]
    assert renumbered == theirs["passwd"].replace("eva:x:1001:", f"eva:x:{number}:")
