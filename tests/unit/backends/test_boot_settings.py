"""What is taken of a locale's file, and what of systemd's words is told."""

from __future__ import annotations

from hotsync.backends.boot_settings import locale_words, refusals


def test_a_locale_has_its_variables_and_nothing_else() -> None:
    text = "# a remark\nLANG=de_DE.UTF-8\n LC_TIME='C.UTF-8'\nLANGUAGE=\"de:en\"\nPATH=/tmp\nLC_ALL=$(reboot)\n"
    assert locale_words(text) == ("LANG=de_DE.UTF-8", "LC_TIME=C.UTF-8", "LANGUAGE=de:en")


def test_a_setting_of_a_card_that_only_the_master_has_is_not_missed() -> None:
    missed = "Couldn't write '1' to 'net/netfilter/nf_conntrack_max', ignoring: No such file or directory"
    said = (
        "Couldn't write '1' to 'net/ipv4/conf/eth77.5/rp_filter', ignoring: No such file or directory\n"
        "Couldn't write '1' to 'net/ipv6/neigh/eth77/gc_stale_time', ignoring: No such file or directory\n\n"
        f"{missed}\n"
    )
    assert list(refusals(said)) == [missed]
