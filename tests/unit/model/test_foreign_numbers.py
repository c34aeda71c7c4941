"""Numbers that a directory of the MASTER gives out are known without asking anybody by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.model.accounts.foreign import foreign_numbers, ranges_of_samba, ranges_of_sssd
from hotsync.model.accounts.numbers import Foreign, covered

SMB = """[global]
   idmap config * : backend = tdb
   idmap config * : range = 3000-7999
   idmap config AD:range=10000 - 999999
   ; idmap config OLD : range = 1-2
   idmap config BAD : range = 9-3
   idmap config HUGE : range = 5-99999999999
"""


def test_winbinds_ranges_are_read() -> None:
    assert ranges_of_samba(SMB) == (range(3000, 8000), range(10000, 1000000))


@pytest.mark.parametrize(
    ("domain", "ranges"),
    [
        ("id_provider = ad", (range(200000, 2000200001),)),
        ("id_provider = ad\nldap_idmap_range_min = 70000\nldap_idmap_range_max = 80000", (range(70000, 80001),)),
        ("id_provider = ldap\nldap_id_mapping = True", (range(200000, 2000200001),)),
        ("id_provider = ad\nldap_id_mapping = false", ()),
        ("id_provider = ldap\nmin_id = 5000\nmax_id = 6000", (range(5000, 6001),)),
        ("id_provider = ldap\nmin_id = 1000", ()),
        ("id_provider = ldap\nmax_id = x", ()),
    ],
)
def test_sssds_ranges_are_read_where_they_are_bounded(domain: str, ranges: tuple[range, ...]) -> None:
    text = (
        f"# a remark\n[sssd]\nmax_id = 77\ndomains = example.org\n\n[domain/example.org]\n{domain}\n[nss]\nmax_id = 9\n"
    )
    assert ranges_of_sssd(text) == ranges


def test_who_owns_files_without_an_account_is_foreign_but_for_what_every_debian_has_alike() -> None:
    owners = ({0, 33, 110, 471, 472, 473, 5000, 65534}, {101, 999})
    assert foreign_numbers((range(7, 9),), owners, ({110}, {101})) == Foreign(
        (range(7, 9), range(471, 474), range(5000, 5001)), (range(7, 9), range(999, 1000))
    )


numbers = st.sets(st.integers(98, 130) | st.integers(65530, 65540))


@given(numbers, numbers)
def test_exactly_the_owners_without_an_account_are_covered(owners: set[int], known: set[int]) -> None:
    found = foreign_numbers((), (owners, ()), (known, ())).users
    for number in (*range(95, 135), *range(65528, 65542)):
        assert covered(number, found) == (number in owners - known and number >= 100 and number != 65534)
