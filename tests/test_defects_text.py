"""A region in words is asked of the endpoint that was given, or not at all; nothing silently stands in for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from defects_maker import surface
from noescape.defects.placement.text import VisionEndpoint, VisionError, boxes_in
from noescape.records import UsageError
from vision_server import MODEL, VisionServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[VisionServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving() as one:
        yield one


def endpoint(server: VisionServer, model: str = MODEL) -> VisionEndpoint:
    return VisionEndpoint(base=server.base, model=model, timeout_s=0.5, wait_s=0.0)


def test_boxes_come_back_in_pixels(server: VisionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOESCAPE_VISION_KEY", "s3cret")
    ask = endpoint(server)
    ask.check()
    assert ask.find(surface(1), "the screen") == [(32, 24, 96, 72)]
    assert server.asked == [{"prompt": "the screen", "size": (128, 96)}]
    assert server.keys == ["Bearer s3cret"] * 2
    server.content = "[]"
    assert ask.find(surface(1), "nothing") == []


def test_a_large_image_is_sent_smaller_and_its_boxes_are_not(server: VisionServer) -> None:
    assert endpoint(server).find(surface(1, 100, 4000), "all") == [(1000, 25, 3000, 75)]
    assert server.asked[0]["size"] == (1280, 32)


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ('```json\n[{"bbox_2d": [0, 0, 1000, 500]}]\n```', [(0, 0, 200, 50)]),
        ("<think>[1, 2] maybe</think> [[100, 100, 50, 50]]", [(10, 5, 20, 10)]),
        ("[100, 100, 200, 200]", [(20, 10, 40, 20)]),
        ('[{"bbox": [-50, 0, 2000, 1e3]}, {"label": "x"}]', [(0, 0, 200, 100)]),
        ("[]", []),
    ],
)
def test_answers_as_models_give_them(text: str, boxes: list[tuple[int, ...]]) -> None:
    assert boxes_in(text, 200, 100) == boxes


@pytest.mark.parametrize("text", ["I see a screen.", '[{"bbox_2d": [1, 2, 3]}]', '["a", "b"]', "[[0, 0, 0, 0]]", "[1,"])
def test_answers_without_boxes_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        boxes_in(text, 200, 100)


def test_what_may_pass_is_tried_again(server: VisionServer) -> None:
    server.trouble = [429, 503]
    assert endpoint(server).find(surface(1), "x") and not server.trouble
    server.trouble = ["slow", "slow"]
    assert endpoint(server).find(surface(1), "x")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ([422], "answered 422"),
        ([500] * 3, "answered 500"),
        (["redirect"], "answered 302"),
        (["much"] * 3, "more than"),
        (["noise"], "no JSON"),
    ],
)
def test_a_failing_endpoint_is_a_failure(trouble: list[object], said: str, server: VisionServer) -> None:
    """One message that says who and what; no redirect is followed, no endless answer read."""
    server.trouble = list(trouble)
    with pytest.raises(VisionError, match=said) as told:
        endpoint(server).find(surface(1), "x")
    assert "127.0.0.1" in str(told.value) and not server.asked and not server.trouble


def test_another_model_is_never_taken(server: VisionServer) -> None:
    with pytest.raises(VisionError, match=r"expected the model 'seer/vl-8b', it serves seer/vl-4b, other"):
        endpoint(server, "seer/vl-8b").check()


def test_nobody_there(server: VisionServer) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(VisionError, match="failed"):
        endpoint(server).check()


@pytest.mark.parametrize(
    "base",
    [
        "file:///etc",
        "127.0.0.1:80/v1",
        "http://me:pw@host/v1",
        "http:///v1",
        "http://h:99999/v1",
        "http://h h/v1",
        "http://h/v1?pw=1",
        "http://[::1/v1",
    ],
)
def test_addresses_that_are_none(base: str) -> None:
    with pytest.raises(UsageError) as told:
        VisionEndpoint(base=base, model="m")
    assert "pw" not in str(told.value)
