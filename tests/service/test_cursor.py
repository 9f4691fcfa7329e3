"""Cursors come back as they went out, and nothing else is taken for one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.cursor import decode, encode
from service.errors import Invalid

POSITIONS = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=4)


@given(POSITIONS)
def test_cursor_gives_back_the_position(position: list[int]) -> None:
    text = encode(*position)
    assert decode(text, len(position)) == tuple(position)
    assert text.isascii()
    assert not set(text) & set("+/=&?# ")


@given(st.text(max_size=60), st.integers(1, 4))
def test_cursor_is_refused_or_a_position_when_it_is_any_text(text: str, parts: int) -> None:
    try:
        found = decode(text, parts)
    except Invalid:
        pass
    else:
        assert found is not None
        assert len(found) == parts


@pytest.mark.parametrize(
    "content",
    [
        *("[1]", "[1,2]", "[1.0,2,3]", '["1",2,3]', "[true,2,3]", "[null,2,3]", f"[{2**31},0,0]", "[-1,0,0]"),
        *("{}", "7", "", "[" * 9_999),
    ],
)
def test_cursor_is_refused_when_it_stands_for_something_else(content: str) -> None:
    with pytest.raises(Invalid, match="cursor: must be the `next` of an earlier page"):
        decode(base64.urlsafe_b64encode(content.encode()).decode(), 3)


def test_no_cursor_is_no_position() -> None:
    assert decode(None, 3) is None
