"""Drawing into a given mask: it is filled from the exemplar everywhere; an example's own moved mask is known again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator_maker import SIZE, metal
from noescape.defects.generators.exemplar.exemplars import take_apart, traits
from noescape.defects.generators.exemplar.given import Stock, continued, cutpaste, noise, soft, transplant, widening
from noescape.defects.generators.exemplar.grain import Grain, measure_grain
from noescape.defects.generators.exemplar.logdomain import disc, to_log, unit
from noescape.defects.generators.exemplar.shapes import lay, shape_of

KINDS = {"transplant": transplant, "cutpaste": cutpaste, "perlin": noise}


def ell() -> np.ndarray:
    """The mask of an L, which looks like nothing else when turned or flipped."""
    mask = np.zeros(SIZE, np.bool_)
    mask[30:66, 40:50] = mask[56:66, 40:70] = True
    return mask


def stock(rng: np.random.Generator, mask: np.ndarray, level: int = 40) -> Stock:
    picture = metal(rng)
    picture[mask] = level
    e = take_apart("one", picture, mask)
    grain = measure_grain([to_log(metal(rng))])
    return Stock(exemplars=[e], shapes=[shape_of(mask)], traits=traits([e]), grain=grain, textures=[to_log(metal(rng))])


@settings(max_examples=25, deadline=None)
@given(
    angle=st.floats(-180, 180), scale=st.floats(0.6, 1.3), shear=st.floats(-0.2, 0.2), flip=st.booleans(),
)  # fmt: skip
def test_an_examples_own_mask_is_recognised_after_any_move(
    angle: float, scale: float, shear: float, flip: bool
) -> None:
    """Turned, scaled, sheared, flipped: laid over it again, the exemplar covers nearly all of it."""
    rng = np.random.default_rng(0)
    mask = ell()
    have = stock(rng, mask)
    move = cv2.getRotationMatrix2D((52, 50), angle, scale)
    move[0] += shear * move[1]
    if flip:
        move[0] = -move[0]
    middle = move @ np.array([50, 52, 1.0])
    move[:, 2] += np.array([64, 48]) - middle
    onto = cv2.warpAffine(mask.astype(np.float32), move, SIZE[::-1]) > 0.5
    _, found, fit = lay(have.exemplars, have.shapes, have.traits, onto, rng)
    back = cv2.warpAffine(mask.astype(np.float32), found, SIZE[::-1]) > 0.5
    assert (back & onto).sum() / (back | onto).sum() > 0.75 and fit > 0.4


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_pixel_of_a_mask_gets_its_content_from_inside_the_exemplar(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside, onto = (rng.random((24, 30)) < rng.uniform(0.02, 0.9) for _ in range(2))
    inside[int(rng.integers(24)), int(rng.integers(30))] = True
    ys, xs = continued(inside, onto)
    assert inside[ys, xs].all() and len(ys) == onto.sum()
    own = inside[onto]
    assert (ys[own] == np.nonzero(onto)[0][own]).all() and (xs[own] == np.nonzero(onto)[1][own]).all()


@pytest.mark.parametrize("arm", sorted(KINDS))
@pytest.mark.parametrize("colour", [False, True])
def test_every_arm_fills_the_whole_mask_and_keeps_to_it(arm: str, colour: bool) -> None:
    """A dark exemplar of another shape, drawn into a disc: dark everywhere in the disc; weight 0 beyond its border."""
    rng = np.random.default_rng(3)
    have = stock(rng, ell())
    onto = np.zeros(SIZE, np.uint8)
    cv2.circle(onto, (60, 50), 20, 1, -1)
    clean = metal(rng)
    if colour:
        clean = np.clip(clean * np.array([1.2, 1.0, 0.6]), 0, 255).astype(np.uint8)
    log, u = to_log(clean), unit(SIZE)
    layer = KINDS[arm](have, log, onto > 0, u, 1.0, rng)
    drawn = log * (1 - layer.weight) + layer.log * layer.weight
    assert layer.log.shape == log.shape and np.isfinite(drawn).all()
    inner = cv2.erode(onto, disc(2)) > 0
    darker = (log - drawn).mean(axis=2)[inner]
    assert (darker > 0.2).mean() > 0.9
    beyond = cv2.dilate(onto, disc(widening(u))) == 0
    assert (layer.weight[beyond] == 0).all() and (layer.weight[onto > 0] > 0.4).all()


def test_the_weight_is_zero_to_the_bit_beyond_the_widening() -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[80:120, 80:120] = True
    for u in (0.4, 1.0, 2.0, 3.3):
        for sigma in (0.8, 1.0, 1.5):
            wide = cv2.dilate(mask.astype(np.uint8), disc(widening(u)))
            assert (soft(mask, sigma, u)[wide == 0] == 0).all()


def test_what_is_wide_is_never_turned() -> None:
    """Its texture has a direction, which a turned mask must not turn."""
    rng = np.random.default_rng(5)
    mask = np.zeros(SIZE, np.bool_)
    mask[20:80, 20:100] = True
    have = stock(rng, mask)
    assert have.traits.wide and have.grain == Grain(axis="y", coherence=have.grain.coherence)
    move = cv2.getRotationMatrix2D((60, 50), 25, 0.8)
    onto = cv2.warpAffine(mask.astype(np.float32), move, SIZE[::-1]) > 0.5
    _, found, _ = lay(have.exemplars, have.shapes, have.traits, onto, rng)
    assert found[0, 1] == found[1, 0] == 0 and found[0, 0] > 0 and found[1, 1] > 0
