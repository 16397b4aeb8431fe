"""The masker for long: thousands of random streams against the oracle, and one that is far larger than its memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from noescape.flow.secrets.mask import Masker, forms
from test_flow_mask import naive

pytestmark = pytest.mark.torture


@pytest.mark.parametrize("seed", range(20))
def test_random_streams_are_masked_as_the_oracle_says(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        letters = bytes(rng.sample(range(256), rng.choice([1, 2, 3, 60])))
        secrets = [bytes(rng.choices(letters, k=rng.choice([1, 2, 3, 9, 14, 40]))) for _ in range(rng.randint(1, 5))]
        every = sorted(set().union(*map(forms, secrets)))
        text = b"".join(rng.choice([*every, bytes(rng.choices(letters, k=5))]) for _ in range(rng.randint(0, 12)))
        masker, out, at = Masker(secrets), b"", 0
        while at < len(text):
            size = rng.choice([1, 1, 2, 7, 64])
            out += masker.feed(text[at : at + size])
            at += size
        assert out + masker.flush() == naive(text, set(every)), (seed, secrets, text)


def test_a_long_stream_needs_no_more_memory_than_a_short_one() -> None:
    """256 MiB with a key of many lines among the secrets."""
    rng = random.Random(1)
    key = "\n".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789+/", k=64)) for _ in range(30))
    line = b"2026-01-01T00:00:00Z INFO epoch 3 loss=0.1234 https://example/x?y=z\n" * 900
    masker = Masker([key, "hf_abcdefgh", "x9"])
    masker.feed(line)
    tracemalloc.start()
    try:
        for _ in range((256 << 20) // len(line)):
            masker.feed(line)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
