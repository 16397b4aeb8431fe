"""The masker: no byte of a secret gets through, however the stream is cut, and nothing else is lost."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noescape.flow.secrets.mask import MASK, Masker, forms, mask


def naive(text: bytes, patterns: set[bytes]) -> bytes:
    """The oracle: cover every occurrence byte by byte, then write *** for each run of covered bytes."""
    covered = [False] * len(text)
    for pattern in patterns:
        for at in range(len(text) - len(pattern) + 1):
            if text.startswith(pattern, at):
                covered[at : at + len(pattern)] = [True] * len(pattern)
    out, last = b"", False
    for byte, hide in zip(text, covered, strict=True):
        if not hide:
            out += bytes([byte])
        elif not last:
            out += MASK
        last = hide
    return out


def streamed(secrets: list[bytes], pieces: list[bytes], exact: bool = False) -> bytes:
    masker = Masker(secrets, exact=exact)
    return b"".join(masker.feed(piece) for piece in pieces) + masker.flush()


def cut(text: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in pairwise(ends)]


few = st.lists(st.sampled_from(list(b"ab\n")), max_size=60).map(bytes)
many = st.binary(max_size=200)
short = st.lists(st.lists(st.sampled_from(list(b"ab\n")), min_size=1, max_size=16).map(bytes), min_size=1, max_size=4)
wide = st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=4)


@settings(max_examples=400)
@given(text=few, secrets=short, places=st.lists(st.integers(0, 200), max_size=8))
def test_overlapping_secrets_across_any_borders_are_covered_as_the_oracle_says(
    text: bytes, secrets: list[bytes], places: list[int]
) -> None:
    """Few letters make occurrences that overlap, contain each other and repeat."""
    assert streamed(secrets, cut(text, places), exact=True) == naive(text, set(secrets))
    assert streamed(secrets, cut(text, places)) == naive(text, set().union(*map(forms, secrets)))


@settings(max_examples=200)
@given(data=st.data(), secrets=wide, noise=many, places=st.lists(st.integers(0, 400), max_size=8))
def test_planted_secrets_are_covered_among_any_bytes(
    data: st.DataObject, secrets: list[bytes], noise: bytes, places: list[int]
) -> None:
    every = sorted(set().union(*map(forms, secrets)))
    text = noise
    for _ in range(3):
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + data.draw(st.sampled_from(every)) + text[at:]
    assert streamed(secrets, cut(text, places)) == naive(text, set(every))


@pytest.mark.parametrize("length", [1, 2, 7, 8, 11, 12, 13, 100, 5000])
def test_a_secret_of_any_length_is_masked_byte_by_byte(length: int) -> None:
    secret = (b"Qx7" * length)[:length]
    text = b"before " + secret + b" after\n"
    assert streamed([secret], [bytes([b]) for b in text], exact=True) == naive(text, {secret})


def test_all_lines_of_a_multi_line_value_are_masked_alone() -> None:
    """A key printed line by line, with a prefix and another line end; braces alone are no secret."""
    key = "-----BEGIN KEY-----\nMIIEvQ\n{\nz9\n-----END KEY-----\n"
    log = "".join(f"[12:00] {line}\r\n" for line in key.splitlines()) + f"whole: {key}"
    assert mask(log, [key]) == "[12:00] ***\r\n" * 2 + "[12:00] {\r\n" + "[12:00] ***\r\n" * 2 + "whole: ***"


SPOKEN = "hf_Ab/9+?ü xyz"


@pytest.mark.parametrize("before", [b"", b"u", b"us", b"usr", b"user:"])
@pytest.mark.parametrize("after", [b"", b"s", b"st", b"str"])
def test_base64_of_a_secret_is_masked_wherever_it_begins(before: bytes, after: bytes) -> None:
    """As in a header of basic authentication: at most the characters it shares with its neighbours are left."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + SPOKEN.encode() + after).decode()
        said = mask(f"Authorization: Basic {text}", [SPOKEN])
        assert "***" in said
        left = said.removeprefix("Authorization: Basic ").replace("***", "").rstrip("=")
        assert len(left) <= (len(before) * 8 + 5) // 6 + (len(after) * 8 + 5) // 6 + (1 if after else 0)


@pytest.mark.parametrize(
    "form",
    [
        quote(SPOKEN, safe=""),
        quote(SPOKEN),
        quote_plus(SPOKEN),
        quote(SPOKEN, safe="").lower().replace("hf_ab", "hf_Ab"),
        json.dumps(SPOKEN),
        json.dumps(SPOKEN, ensure_ascii=False),
    ],
)
def test_a_secret_in_a_url_or_in_json_is_masked(form: str) -> None:
    assert mask(f"https://x/?t={form}&n=1", [SPOKEN]).count("***") == 1
    assert "Ab" not in mask(form, [SPOKEN]) and "xyz" not in mask(form, [SPOKEN])


def test_without_secrets_everything_goes_through_at_once() -> None:
    masker = Masker(["", b""])
    assert masker.feed(b"\xff\x00any") == b"\xff\x00any" and masker.flush() == b""


def test_a_harmless_line_is_not_held_back() -> None:
    """What cannot be the beginning of a secret goes out with its piece."""
    masker = Masker(["secret-token"])
    assert masker.feed(b"epoch 1 of 3\n") == b"epoch 1 of 3\n"
    assert masker.feed(b"the secret-") == b"the "
    assert masker.feed(b"ary\n") == b"secret-ary\n"


def test_a_new_stream_may_follow() -> None:
    masker = Masker(["secret"])
    assert masker.feed(b"a secret") + masker.flush() == b"a ***"
    assert masker.feed(b"secret!") + masker.flush() == b"***!"


def test_a_line_end_behind_a_value_does_not_hide_its_other_forms() -> None:
    """Files of secrets often end with one, and programs take it off before they use the value."""
    form = base64.b64encode(b"token-1234").decode()
    assert mask(form, ["token-1234\n"]) == "***" == mask("token-1234", ["token-1234\n"])


def test_text_comes_back_with_all_its_characters() -> None:
    text = "Grüße \udc80 \ud800 \U0001f40d ключ tok"
    assert mask(text, ["ключ"]) == text.replace("ключ", "***")
    assert mask(text, []) == text


def test_no_secret_shows_in_what_a_masker_says_of_itself() -> None:
    masker = Masker(["hunter2-canary"])
    masker.feed(b"hunter2-can")
    assert "hunter" not in repr(masker) and "hunter" not in str(masker)


def _seconds(secrets: list[str], text: bytes) -> float:
    best = 1e9
    for _ in range(2):
        start = time.process_time()
        streamed([s.encode() for s in secrets], [text[i : i + 4096] for i in range(0, len(text), 4096)])
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize("secret", ["a" * 3000 + "b", "ab" * 1500, "a"])
def test_the_worst_stream_takes_linear_time(secret: str) -> None:
    """Nearly-secrets over and over: four times the text, not much over four times the time."""
    small, large = b"a" * 50_000, b"a" * 200_000
    assert _seconds([secret], large) < 8 * _seconds([secret], small) + 0.2


def test_memory_does_not_grow_with_the_stream() -> None:
    masker = Masker(["x" * 1000 + "!", "token-1234"])
    piece = b"x" * 4096
    for _ in range(8):
        masker.feed(piece)
    tracemalloc.start()
    try:
        for _ in range(60):
            assert len(masker.feed(piece)) <= 4096
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
