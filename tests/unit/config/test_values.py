import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotsync.config.values import (
    ROLE,
    SWITCH,
    YES_NO,
    Host,
    HostPort,
    IpAddress,
    Kind,
    Number,
    Relay,
    RelayHost,
    SecretText,
    Text,
)

PLACES: list[Kind] = [Host(), RelayHost(), HostPort(), IpAddress()]
KINDS: list[Kind] = [Number(1, 9), SWITCH, YES_NO, ROLE, *PLACES, Text("x"), SecretText()]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "10.77.0.2",
        "192.168.1.2",
        "2001:db8::2",
        "fe80::1%eth0",
        "slave",
        "slave.example.org",
        "slave.example.org.",
        "x-1.example",
        "3com.example",
    ],
)
def test_addresses_and_host_names_of_other_servers_are_taken(address: str) -> None:
    assert Host().parse(address) == address


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "no address of another server"),
        ("127.8.8.8", "no address of another server"),
        ("::1", "no address of another server"),
        ("0.0.0.0", "no address of another server"),
        ("::", "no address of another server"),
        ("255.255.255.255", "no address of another server"),
        ("localhost", "no address of another server"),
        ("LocalHost.", "no address of another server"),
        ("a.localhost", "no address of another server"),
        ("224.0.0.1", "no address of another server"),
        ("10.77.0.256", "looks like an IPv4 address"),
        ("10.77.0", "looks like an IPv4 address"),
        ("2001:db8::g", "neither"),
        ("[2001:db8::2]", "neither"),
        ("-o.example", "neither"),
        ("a..b", "neither"),
        ("a b", "neither"),
        ("a/24", "neither"),
        ("fe80::1%a\nb", "neither"),
        ("<SLAVE_IP>", "neither"),
        ("a" * 64, "neither"),
    ],
)
def test_other_addresses_are_refused_with_the_reason(address: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Host().parse(address)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", ""), ("192.0.2.1", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1"), ("fd00::7", "fd00::7")],
)
def test_an_address_is_taken_in_its_one_form(text: str, found: str) -> None:
    assert IpAddress().parse(text) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("router", "no IPv4 or IPv6 address"),
        ("192.0.2.1/24", "no IPv4 or IPv6 address"),
        ("192.0.2.1\n", "no IPv4 or IPv6 address"),
        ("[2001:db8::1]", "no IPv4 or IPv6 address"),
        ("2001:db8::1%eth0", "no IPv4 or IPv6 address"),
        ("fe80::1%eth0", "no IPv4 or IPv6 address"),
        ("fe80::1", "one other machine"),
        ("169.254.1.1", "one other machine"),
        ("127.0.0.1", "one other machine"),
        ("ff02::1", "one other machine"),
    ],
)
def test_names_and_addresses_that_every_wire_has_are_no_address_to_ask(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        IpAddress().parse(text)


@pytest.mark.parametrize("text", ["", "deb.example.org:443", "192.0.2.1:80", "[2001:db8::1]:443"])
def test_a_host_with_its_port_is_taken_as_it_is(text: str) -> None:
    assert HostPort().parse(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("deb.example.org", "not HOST:PORT"),
        ("2001:db8::1:443", "not HOST:PORT"),
        ("[2001:db8::1]", "not HOST:PORT"),
        ("a:", "not a whole number"),
        ("a:0", "not a whole number"),
        ("a:65536", "not a whole number"),
        (":443", "neither"),
        ("[a]:1", "not HOST:PORT"),
        ("a b:1", "neither"),
    ],
)
def test_a_host_without_its_port_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        HostPort().parse(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("mail.example.org", Relay("mail.example.org", 25)),
        ("mail.example.org:587", Relay("mail.example.org", 587)),
        ("10.0.0.1:26", Relay("10.0.0.1", 26)),
        ("2001:db8::2", Relay("2001:db8::2", 25)),
        ("[2001:db8::2]", Relay("2001:db8::2", 25)),
        ("[2001:db8::2]:587", Relay("2001:db8::2", 587)),
        ("localhost", Relay("localhost", 25)),
    ],
)
def test_a_relay_is_a_host_and_maybe_a_port(text: str, found: Relay | None) -> None:
    assert RelayHost().parse(text) == found


@pytest.mark.parametrize(
    "text", [":25", "a:", "a:x", "a:0", "a:65536", "[::1]x", "[]:25", "a b:25", "a:25:x", "a:2\n5", "a:b:c\n"]
)
def test_a_relay_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        RelayHost().parse(text)


@pytest.mark.parametrize("text", ["-1", "0", "10", "1.0", " 5", "5 ", "0x5", "1_0", "٣", "five", "9" * 400])
def test_a_number_is_decimal_digits_within_its_range(text: str) -> None:
    assert Number(1, 9).parse("9") == 9
    assert Number(1, 9).parse("03") == 3
    with pytest.raises(ValueError, match="not a whole number from 1 to 9"):
        Number(1, 9).parse(text)


@pytest.mark.parametrize("text", ["Master", "MASTER", "primary", " master"])
def test_a_role_is_spelled_as_the_manual_has_it(text: str) -> None:
    with pytest.raises(ValueError, match="none of master, slave"):
        ROLE.parse(text)


@pytest.mark.parametrize("kind", [Text("x"), SecretText()])
@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "\x7f", "\udcff"])
def test_text_that_could_break_a_line_is_refused_without_showing_it(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match="unprintable") as caught:
        kind.parse(text)
    assert text not in str(caught.value)


@given(st.sampled_from(KINDS), st.text())
def test_any_text_is_either_a_value_or_a_fault_on_one_line(kind: Kind, text: str) -> None:
    said = ""
    try:
        kind.parse(text)
    except ValueError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 200
