"""The lab's wrong clock: what can be known of it without a lab."""

from __future__ import annotations

import pytest

from lab import LabError
from lab.clock import library_of


@pytest.mark.parametrize("folder", ["x86_64-linux-gnu", "aarch64-linux-gnu"])
def test_the_library_is_found_on_every_architecture(folder: str) -> None:
    """`dpkg -L libfaketime` on Debian 12."""
    listing = (
        f"/.\n/usr\n/usr/lib\n/usr/lib/{folder}\n/usr/lib/{folder}/faketime\n"
        f"/usr/lib/{folder}/faketime/libfaketime.so.1\n/usr/lib/{folder}/faketime/libfaketimeMT.so.1\n/usr/share\n"
    )
    assert library_of(listing) == f"/usr/lib/{folder}/faketime/libfaketime.so.1"


def test_a_host_without_the_library_says_so() -> None:
    with pytest.raises(LabError, match="libfaketime"):
        library_of("/.\n/usr\n")
