"""Reading the providers' rate-limit headers: every form in use, and junk."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.allowance import Left, duration_s, read

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6ms", 0.006),
        ("1m2.5s", 62.5),
        ("1h0m3s", 3603),
        ("0s", 0),
        ("250us", 0.00025),
        ("17", 17),
        ("0.5", 0.5),
        (" 3 ", 3),
        ("2026-11-21T12:00:30Z", 30),
        ("2026-11-21T13:00:00+01:00", 0),
        ("2026-11-21T11:00:00Z", 0),
        (str(int(NOW) + 9), 9),
        (str((int(NOW) + 9) * 1000), 9),
    ],
)
def test_every_form_of_a_reset_is_seconds_from_now(text, seconds):
    assert duration_s(text, NOW) == pytest.approx(seconds, abs=1e-3)


@pytest.mark.parametrize("text", [None, "", "soon", "1m2", "m", "1x", "-", "nan", "inf", "2026-11-21T12:00:30", "1s 2"])
def test_junk_says_nothing(text):
    assert duration_s(text, NOW) is None


@given(st.text(max_size=80))
def test_no_text_breaks_it_and_no_wait_is_negative(text):
    seconds = duration_s(text, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        (
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-remaining-tokens": "149984",
            },
            Left(499, 500, 0.12),
            Left(149984),
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-21T12:01:00Z",
                "anthropic-ratelimit-tokens-remaining": "-3",
            },
            Left(0, 50, 60),
            Left(0),
        ),
        (
            {"x-ratelimit-remaining-req-minute": "3", "x-ratelimit-limit-tokens-minute": "9"},
            Left(3),
            None,
        ),
        ({"ratelimitbysize-remaining": "100", "ratelimitbysize-reset": "4"}, None, Left(100, None, 4)),
        ({"content-type": "text/html"}, None, None),
    ],
)
def test_every_family_of_headers_is_read(headers, requests, tokens):
    assert read(headers, NOW) == (requests, tokens)


def test_an_empty_limit_refills_steadily_where_its_size_is_known():
    assert Left(0, 60, 60).next_s == 1
    assert Left(0, None, 60).next_s == 60
    assert Left(0, 60, None).next_s is None
    assert Left(1, 60, 60).next_s == 0
