from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tracker.addresses import Address, client_address, read_address, subscriber, truncated, written

addresses = st.ip_addresses()
lines = st.lists(st.text(max_size=60), max_size=4)


@pytest.mark.parametrize(
    ("forwarded", "hops", "client"),
    [
        ([], 0, "10.0.0.9"),
        (["203.0.113.7"], 0, "10.0.0.9"),
        ([], 1, "10.0.0.9"),
        (["203.0.113.7"], 1, "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], 1, "203.0.113.7"),
        (["198.51.100.1", "203.0.113.7"], 1, "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7", "10.0.0.1"], 2, "203.0.113.7"),
        (["6.6.6.6, 198.51.100.1 ,203.0.113.7,10.0.0.1"], 2, "203.0.113.7"),
        (["203.0.113.7"], 3, "203.0.113.7"),
        (["garbage, 203.0.113.7:51234"], 1, "203.0.113.7"),
        (["203.0.113.7, garbage"], 1, None),
        (["203.0.113.7,"], 1, None),
        ([""], 1, None),
    ],
)
def test_the_client_is_whom_the_outermost_of_our_proxies_saw(
    forwarded: list[str], hops: int, client: str | None
) -> None:
    assert client_address("10.0.0.9", forwarded, hops=hops) == (ip_address(client) if client else None)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1\t", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ('"192.0.2.1:443"', "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ('"[2001:DB8::1]:443"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:443", "192.0.2.1"),
    ],
)
def test_an_address_is_read_with_or_without_what_surrounds_it(text: str, address: str) -> None:
    assert read_address(text) == ip_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.01",
        "0xc0000201",
        "3221225985",
        "192.0.2.1 192.0.2.2",
        "2001:db8::1::2",
        "\u0663.\u0663.\u0663.\u0663",
        "for=192.0.2.1",
        "[",
        "]",
        "%",
        "\x00",
        "-1",
    ],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert read_address(text) is None


@given(addresses)
def test_every_address_is_read_back(address: Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)

    assert read_address(str(address)) == (mapped or address)


@given(st.text(), lines, st.integers(0, 10))
def test_no_header_is_an_error_and_none_moves_the_client_past_our_proxies(
    said: str, proxies: list[str], hops: int
) -> None:
    honest = client_address("10.0.0.9", ["203.0.113.7"], hops=1)

    assert client_address("10.0.0.9", [said, "203.0.113.7"], hops=1) == honest
    client_address("10.0.0.9", proxies, hops=hops)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.255", "192.0.2.0"),
        ("255.255.255.255", "255.255.255.0"),
        ("0.0.0.1", "0.0.0.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff::"),
        ("::1", "::"),
        ("2002:c000:2ff::1", "2002:c000:200::"),
        ("64:ff9b::192.0.2.1", "64:ff9b::"),
    ],
)
def test_an_address_is_truncated_to_its_network(address: str, network: str) -> None:
    assert truncated(ip_address(address)) == ip_address(network)


@given(st.ip_addresses(v=4))
def test_of_ipv4_24_bits_are_kept(address: IPv4Address) -> None:
    assert truncated(address) == ip_network((address, 24), strict=False).network_address


@given(st.ip_addresses(v=6))
def test_of_ipv6_48_bits_are_kept(address: IPv6Address) -> None:
    assume(address.sixtofour is None)

    assert truncated(address) == ip_network((address, 48), strict=False).network_address


@given(st.ip_addresses(v=4), st.integers(0, 2**80 - 1))
def test_an_ipv4_address_inside_an_ipv6_address_is_truncated_too(inside: IPv4Address, rest: int) -> None:
    mapped = read_address(f"::ffff:{inside}")
    six_to_four = IPv6Address(0x2002 << 112 | int(inside) << 80 | rest)

    assert mapped is not None
    assert truncated(mapped) == truncated(inside)
    assert truncated(six_to_four) == IPv6Address(0x2002 << 112 | int(truncated(inside)) << 80)


@given(addresses)
def test_truncating_twice_is_truncating_once(address: Address) -> None:
    assert truncated(truncated(address)) == truncated(address)


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_a_subscriber_cannot_leave_its_network(address: IPv6Address, host: int) -> None:
    moved = IPv6Address(int(address) >> 64 << 64 | host)

    assert subscriber(moved) == subscriber(address)
    assert subscriber(IPv4Address("192.0.2.1")) != subscriber(IPv4Address("192.0.2.2"))


@given(st.ip_addresses().map(str) | st.text("0123456789abcdef.:", max_size=20))
def test_an_address_is_read_as_the_standard_library_has_it(text: str) -> None:
    try:
        expected = ip_address(text)
    except ValueError:
        expected = None
    mapped = getattr(expected, "ipv4_mapped", None)

    if text.count(":") != 1:  # of an address and a port
        assert read_address(text) == (mapped or expected)


@given(addresses)
def test_an_address_is_written_as_the_standard_library_has_it(address: Address) -> None:
    assert written(address) == str(address)
