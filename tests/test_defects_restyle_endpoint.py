"""Image-edit services: the three wire formats to the letter, the right model or none, no harm from bad ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from image_edit_server import CHAT, IMAGES, MODEL, NIM, Service, cut, drip, flood, png_of, rgb_of, say, serving, status
from noescape.defects.restyle.config import parse_config
from noescape.defects.restyle.endpoint import Endpoint
from noescape.defects.restyle.errors import EndpointError
from noescape.defects.restyle.retry import Backoff, asked_wait
from noescape.records import NoescapeError, UsageError

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
PNG = png_of(PICTURE)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as (address, found):
        found.address = address  # type: ignore[attr-defined]
        yield found


def endpoint(service: Any, waits: list[float] | None = None, **settings: Any) -> Endpoint:
    config = parse_config({"endpoint": service.address, "retry": 2, **settings}, name="t")
    kept = waits if waits is not None else []
    return Endpoint(config, Backoff(retry=config.retry, first_s=1.0, rng=np.random.default_rng(0), sleep=kept.append))


@pytest.mark.parametrize(("api", "path"), [("chat", CHAT), ("images", IMAGES), ("nim", NIM)])
def test_each_format_is_accepted_by_a_service_that_enforces_it(service: Service, api: str, path: str) -> None:
    """The image arrives as it was sent, the parameters where the format has them, the answer comes back."""
    found = endpoint(service, api=api, parameters={"negative_prompt": " ", "true_cfg_scale": 2}).edit(PNG)
    assert (found.api, found.attempts) == (api, 1)
    assert (rgb_of(found.data) == 255 - PICTURE).all()
    ((where, request),) = service.seen
    assert where == path
    inside = request["extra_body"] if api == "chat" else request
    steps, guidance = ("steps", "cfg_scale") if api == "nim" else ("num_inference_steps", "guidance_scale")
    assert {k: str(inside[k]) for k in (steps, guidance, "seed", "negative_prompt", "true_cfg_scale")} == {
        steps: "30", guidance: "4.0", "seed": "0", "negative_prompt": " ", "true_cfg_scale": "2",
    }  # fmt: skip
    assert api == "nim" or request["model"] == MODEL


@pytest.mark.parametrize(("has", "api"), [({CHAT, NIM}, "chat"), ({IMAGES, NIM}, "images"), ({NIM}, "nim")])
def test_auto_takes_the_first_format_that_the_service_has_and_stays_with_it(
    service: Service, has: set[str], api: str
) -> None:
    service.paths = has
    client = endpoint(service, api="auto")
    assert [client.edit(PNG).api, client.edit(PNG).api] == [api, api]
    assert len(service.seen) == 2


def test_a_service_without_any_format_is_one_error_for_all_images(service: Service) -> None:
    service.paths = set()
    with pytest.raises(EndpointError) as caught:
        endpoint(service).edit(PNG)
    assert caught.value.code == "http_404" and caught.value.everywhere


@pytest.mark.parametrize("served", [["Qwen/Qwen-Image-Edit-2511"], ["qwen-image-edit", MODEL.lower()], []])
def test_another_model_is_refused_before_any_image_is_sent(service: Service, served: list[str]) -> None:
    service.models = {"data": [{"id": name} for name in served]}
    with pytest.raises(EndpointError, match="not 'nvidia/Qwen-Image-Edit-NVPCB-OVSL2SL'") as caught:
        endpoint(service).check()
    assert caught.value.code == "wrong_model" and service.seen == []
    for name in served:
        assert name in str(caught.value)


def test_no_list_of_models_is_refused_unless_it_is_said_that_it_may_be_missing(service: Service) -> None:
    service.models = None
    with pytest.raises(EndpointError, match="check_model: false") as caught:
        endpoint(service).check()
    assert caught.value.code == "no_models"
    assert endpoint(service, check_model=False).check() == []
    for odd in ({"data": 3}, [1], {"data": [{}]}):
        service.models = odd
        with pytest.raises(EndpointError):
            endpoint(service).check()


@pytest.mark.parametrize("health", [{"/v1/health/ready": 200}, {"/health": 200}, {}])
def test_health_by_either_page_or_none(service: Service, health: dict[str, int]) -> None:
    service.health = health
    assert endpoint(service).check() == [MODEL]


def test_a_service_that_is_not_ready_is_waited_for_and_then_given_up(service: Service) -> None:
    service.health, waits = {"/v1/health/ready": 503}, list[float]()
    with pytest.raises(EndpointError, match="503"):
        endpoint(service, waits).check()
    assert len(waits) == 2 and 0.5 <= waits[0] <= 1.5 and 1 <= waits[1] <= 3


def test_429_waits_as_long_as_it_is_told(service: Service) -> None:
    waits: list[float] = []
    service.misbehave = [status(429, Retry_After="7"), status(503)]
    assert endpoint(service, waits).edit(PNG).attempts == 3
    assert waits[0] == 7 and 1 <= waits[1] <= 3


def test_a_service_that_asks_for_an_hour_is_not_waited_for(service: Service) -> None:
    waits: list[float] = []
    service.misbehave = [status(429, Retry_After="3600")]
    with pytest.raises(EndpointError, match="429"):
        endpoint(service, waits).edit(PNG)
    assert waits == []


def test_retry_after_is_a_number_or_a_date() -> None:
    assert asked_wait("12") == 12 and asked_wait("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    later = asked_wait("Fri, 31 Dec 2999 23:59:59 GMT")
    assert later is not None and later > 1e9
    assert [asked_wait(text) for text in (None, "", "soon", "-3", "²")] == [None] * 5


def test_422_is_told_with_the_services_own_words_and_not_tried_again(service: Service) -> None:
    service.misbehave = [status(422, "Image has been provided in the invalid form")]
    with pytest.raises(EndpointError, match="422: Image has been provided in the invalid form"):
        endpoint(service).edit(PNG)
    assert service.misbehave == [] and service.seen == []


def test_an_answer_that_is_cut_off_is_asked_for_again(service: Service) -> None:
    service.misbehave = [cut, say(b'{"choices": [')]
    assert endpoint(service, api="chat").edit(PNG).attempts == 3


def test_a_dripping_answer_ends_with_the_time_limit(service: Service) -> None:
    service.misbehave = [drip]
    begin = time.monotonic()
    with pytest.raises(EndpointError, match=r"within 0\.4 s") as caught:
        endpoint(service, timeout_s=0.4, retry=0).edit(PNG)
    assert caught.value.code == "timeout" and time.monotonic() - begin < 3


def test_an_endless_answer_ends_with_the_size_limit(service: Service) -> None:
    for act in (flood, say(b" " * (2 << 20))):
        service.misbehave = [act]
        with pytest.raises(EndpointError) as caught:
            endpoint(service, max_answer_mb=1.0).edit(PNG)
        assert caught.value.code == "too_large"
    assert service.flooded < 32 << 20  # it was not read to its end first


def test_a_compressed_answer_is_refused(service: Service) -> None:
    """It could be a bomb, and was not asked for."""
    service.misbehave = [say(b"x", Content_Encoding="gzip")]
    with pytest.raises(EndpointError, match="compressed"):
        endpoint(service).edit(PNG)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2:9/x", "https://127.0.0.1/x", "//elsewhere/x", "file:///etc/passwd", ""]
)
def test_redirects_off_origin_are_not_followed(service: Service, target: str) -> None:
    service.misbehave = [status(307, Location=target)] * 6
    with pytest.raises(EndpointError) as caught:
        endpoint(service, retry=0).edit(PNG)
    assert caught.value.code == "redirect" and service.seen == []


def test_a_redirect_on_the_same_origin_is_followed_with_what_was_sent(service: Service) -> None:
    service.misbehave = [status(307, Location="/v1/images/edits")]
    assert endpoint(service, api="images").edit(PNG).attempts == 1
    service.misbehave = [status(302, Location="/v1/images/edits")]
    with pytest.raises(EndpointError, match="would drop what was sent"):
        endpoint(service, api="images").edit(PNG)


def test_an_image_elsewhere_is_not_fetched_but_one_here_is(service: Service) -> None:
    """The key would go along, to a place that nobody named."""
    for away in ("http://169.254.169.254/latest", "http://127.0.0.1:1/a.png", "https://127.0.0.1/a.png"):
        service.misbehave = [say({"data": [{"url": away}]})]
        with pytest.raises(EndpointError) as caught:
            endpoint(service, api="images").edit(PNG)
        assert caught.value.code == "off_origin" and "169.254" not in str(caught.value)
    service.answer = lambda _: PNG
    for here in (service.address.removesuffix("/v1") + "/v1/files/1.png", "/v1/files/1.png"):  # type: ignore[attr-defined]
        service.misbehave = [say({"data": [{"url": here}]})]
        assert endpoint(service, api="images").edit(PNG).data == PNG


@pytest.mark.parametrize(
    "value", [{}, [], 3, None, {"choices": []}, {"choices": [{"message": {"content": "I cannot"}}]}, {"error": "x"},
              {"choices": [{"message": {"content": [{"image_url": {"url": "data:image/png,xx"}}]}}]},
              {"choices": [{"message": {"content": [{"image_url": {"url": "data:image/png;base64,*"}}]}}]}],
)  # fmt: skip
def test_answers_without_an_image_are_named_so(service: Service, value: Any) -> None:
    service.misbehave = [say(value)] * 3
    with pytest.raises(EndpointError) as caught:
        endpoint(service, api="chat").edit(PNG)
    assert caught.value.code in ("bad_answer", "not_an_image")


KEY = "sk-canary/äöü".replace("äöü", "123+45=67")


def test_the_key_comes_from_the_environment_and_is_in_no_message(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when the service sends it back, plain, in base64 or percent-encoded."""
    import base64
    from urllib.parse import quote

    monkeypatch.setenv("IMAGE_EDIT_API_KEY", KEY)
    service.key = KEY
    assert endpoint(service).edit(PNG).attempts == 1
    assert service.headers[-1]["Authorization"] == f"Bearer {KEY}"
    said = f"{KEY} {base64.b64encode(b'x' + KEY.encode()).decode()} {quote(KEY, safe='')}\x1b[31m"
    for act in (status(400, said), say(said.encode()), status(302, Location=f"http://{KEY}.example/")):
        service.misbehave = [act] * 3
        with pytest.raises(EndpointError) as caught:
            endpoint(service).edit(PNG)
        text = str(caught.value)
        assert KEY not in text and quote(KEY, safe="") not in text and "\x1b" not in text
        assert base64.b64encode(KEY.encode())[:-2].decode() not in text
    monkeypatch.setenv("IMAGE_EDIT_API_KEY", "another-wrong-key")
    with pytest.raises(EndpointError, match="IMAGE_EDIT_API_KEY") as caught:
        endpoint(service).edit(PNG)
    assert "another-wrong-key" not in str(caught.value) and caught.value.everywhere


@pytest.mark.parametrize("address", [
    "http://u:p@h/v1", "ftp://h/v1", "h:8000", "http://", "http://h/v1?key=1", "http://h:99999/v1", "http://h h", "//h",
])  # fmt: skip
def test_addresses_that_cannot_be_are_wrong_use(address: str) -> None:
    with pytest.raises(UsageError):
        endpoint(type("S", (), {"address": address}))


def test_addresses_where_clouds_keep_credentials_are_never_asked() -> None:
    for host in ("169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]"):
        with pytest.raises(EndpointError) as caught:
            endpoint(type("S", (), {"address": f"http://{host}/v1"})).check()
        assert caught.value.code == "refused"


def test_nobody_listening_is_said_after_all_attempts() -> None:
    waits: list[float] = []
    with pytest.raises(EndpointError) as caught:
        endpoint(type("S", (), {"address": "http://127.0.0.1:1/v1"}), waits).check()
    assert caught.value.code == "unreachable" and len(waits) == 2


@pytest.mark.parametrize(("text", "says"), [
    ({"guidance": 3}, "did you mean 'guidance_scale'"), ({"alignment": {"rot_range": [0, 1, 1]}}, "'rot_range_deg'"),
    ({"pipeline": {"retries": 1}}, "'retry'"), ({"augmentation": {"params": {}}}, "'parameters'"),
    ({"parameters": {"model": "x"}}, "the request sets it"), ({"seed": -1}, "seed"), ([], "expected a map"),
    ({"alignment": {"rot_range_deg": [1, 0, 1]}}, "least <= most"), ({"api": "grpc"}, "api"),
])  # fmt: skip
def test_a_wrong_configuration_says_what_and_the_nearest_name(text: Any, says: str) -> None:
    with pytest.raises(NoescapeError, match=says):
        parse_config(text, name="c.yaml")


def test_a_nested_cookbook_is_read_as_the_flat_form() -> None:
    """The shape of `augmentation_config_ovsl2sl.yaml`, with either way of naming the endpoint and the parameters."""
    parameters = {"num_inference_steps": 20, "guidance_scale": 3.5, "seed": 7, "negative_prompt": "x"}
    book = {
        "data": [{"inputs": {"rgb": "in.png"}, "output": {"video": "out.jpg"}}],
        "endpoints": {"image_edit": {"url": "http://h:1/v1", "model": MODEL}},
        "pipeline": {"retry": 1, "regenerate_caption_on_retry": False, "logging": {"level": "INFO"}},
        "captioning": {"llm": {"text": "Do it."}},
        "augmentation": {"model": {"name": "image-edit"}, "parameters": parameters},
        "data_processing": {
            "alignment": {"rot_range_deg": [-1, 1, 0.5], "shift_step": 4, "bins": 32, "no_resize": True}
        },
    }
    flat = parse_config(book, name="b")
    assert (flat.endpoint, flat.retry, flat.prompt, flat.seed) == ("http://h:1/v1", 1, "Do it.", 7)
    assert flat.parameters == {"negative_prompt": "x"} and flat.alignment.bins == 32 and flat.guidance_scale == 3.5
    row = {"id": "e", "role": "image_edit", "url": "http://h:1/v1", "adapter": "openai.chat.completions"}
    other = book | {"endpoints": [row], "augmentation": {"parameters": {"extra_body": parameters}}}
    assert parse_config(other, name="b") == flat.model_copy(update={"api": "chat"})
