from __future__ import annotations

import pytest

from softphone.edge import NoTicket, read_ticket

HOST, WALL = "edge1.example.test", 1_800_000_000.0
LATER = "Fri, 15 Jan 2027 16:00:00 GMT"  # 28,800 s later
REST = f"Expires={LATER}; Domain=.example.test; Path=/; Secure"


def read(*cookies, host=HOST, date=None, wall=WALL):
    return read_ticket(cookies, host, wall=wall, date=date)


def test_a_cookie_as_expressway_sends_it():
    ticket = read("Other=1", f"X-Auth=opaque-2c; {REST}")
    assert (ticket.domain, ticket.life, ticket.host_only) == ("example.test", 28_800.0, False)
    assert ticket.header == ("Cookie", "X-Auth=opaque-2c")
    assert "opaque" not in repr(ticket)


def test_it_goes_to_hosts_of_its_domain_only():
    ticket = read(f"X-Auth=a; {REST}")
    assert [ticket.fits(each) for each in (HOST, "example.test", "EDGE2.example.test.")] == [
        True
    ] * 3
    assert not ticket.fits("badexample.test")
    alone = read(f"X-Auth=a; Expires={LATER}")
    assert alone.fits(HOST)
    assert not alone.fits("edge2.example.test")


def test_the_servers_clock_counts_where_it_is_told():
    wrong = WALL + 1_000_000
    ticket = read(f"X-Auth=a; {REST}", date="Fri, 15 Jan 2027 15:00:00 GMT", wall=wrong)
    assert ticket.life == 3600.0
    with pytest.raises(NoTicket, match="over"):
        read(f"X-Auth=a; {REST}", date="nonsense", wall=wrong)


@pytest.mark.parametrize(
    ("rest", "life"),
    [
        ("Max-Age=60", 60.0),
        (f"Max-Age=60; Expires={LATER}", 60.0),
        (f"Max-Age=x; Expires={LATER}", 28_800.0),
        ("Expires=Fri, 15-Jan-2027 16:00:00 GMT", 28_800.0),
        ("Expires=Fri, 15 Jan 2027 16:00:00", 28_800.0),
        ("Max-Age=999999999", 86_400.0),
    ],
)
def test_its_end(rest, life):
    assert read(f'X-Auth="a"; {rest}').life == life


@pytest.mark.parametrize(
    ("cookies", "why"),
    [
        ((), "without a cookie"),
        (("X-Author=a",), "without a cookie"),
        ((f"X-Auth=; {REST}",), "no cookie"),
        ((f"X-Auth=a b; {REST}",), "no cookie"),
        ((f"X-Auth=a\r\nX: 1; {REST}",), "no cookie"),
        ((f"X-Auth={'a' * 2049}; {REST}",), "no cookie"),
        ((f"X-Auth=a; Domain=elsewhere.example; Expires={LATER}",), "another domain"),
        ((f"X-Auth=a; Domain=test; Expires={LATER}",), "another domain"),
        ((f"X-Auth=a; Domain=.edge2.example.test; Expires={LATER}",), "another domain"),
        (("X-Auth=a; Domain=example.test",), "not told"),
        (("X-Auth=a; Expires=soon",), "not told"),
        (("X-Auth=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT",), "over"),
        (("X-Auth=a; Max-Age=0",), "over"),
    ],
)
def test_what_is_no_ticket(cookies, why):
    with pytest.raises(NoTicket, match=why):
        read(*cookies)
