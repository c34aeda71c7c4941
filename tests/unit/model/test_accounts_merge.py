"""The account files of a promoted server."""

from __future__ import annotations

from hotsync.model.accounts_merge import merge_accounts

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
    assert merged.texts["shadow"] == MASTER["shadow"] + "qemu:!:1::::::\n"
    assert merged.texts["group"] == MASTER["group"] + "qemu:x:112:\nnogroup:x:65534:\n"
    assert merged.texts["subuid"] == MASTER["subuid"] + "qemu:300000:65536\n"
    assert merged.added == ("qemu", "nobody")
    assert "HASH" not in "".join(merged.texts.values())


def test_a_number_that_the_master_uses_is_never_given_to_somebody_else() -> None:
    own = {"passwd": "helper:x:106:105::/:/bin/false\n", "group": "helper:x:105:\n"}
    merged = merge_accounts(MASTER, own)
    assert merged.moved == {"helper": 999, "group helper": 999}
    assert merged.texts["passwd"].endswith("helper:x:999:999::/:/bin/false\n")
    assert merged.texts["group"].endswith("helper:x:999:\n")


def test_a_user_whose_group_has_another_number_on_the_master_follows_the_groups_name() -> None:
    own = {"passwd": "watcher:x:130:140::/:/bin/false\n", "group": "postfix:x:140:\n"}
    assert merge_accounts(MASTER, own).texts["passwd"].endswith("watcher:x:130:113::/:/bin/false\n")
