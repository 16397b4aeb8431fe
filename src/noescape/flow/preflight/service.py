"""Does the service answer that the flow is going to call: one question for its list of models, with a time limit."""

from __future__ import annotations

import http.client
import ipaddress
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from noescape.flow.preflight.finding import NOT_ASKED, Finding, Situation

CHECK = "endpoint"
TIME_LIMIT_S = 10.0
_MAX_ANSWER = 1 << 20
_INSIDE = (".svc", ".svc.cluster.local", ".cluster.local")


def check(s: Situation) -> Iterator[Finding]:
    """The endpoint of the card's knob, if it has one."""
    service = s.card.endpoint if s.card else None
    if service is None or s.card is None:
        return
    address = s.values.get(service.knob, "")
    if not address:
        none = s.card.knobs[service.knob].words.get("", "none")
        yield s.ok(CHECK, service.knob, none)
        return
    problem = address_problem(address, s.target)
    if problem:
        mend = f"--set {service.knob}=http://HOST:PORT/v1"
        yield Finding(check=CHECK, name=service.knob, status="missing", detail=problem, mend=mend)
    elif (host := urlsplit(address).hostname or "").endswith(_INSIDE):
        detail = f"{host} is seen only from inside of the cluster"
        mend = f"kubectl get service --all-namespaces | grep {host.split('.')[0]}"
        status = "unknown" if s.target == "osmo" else "missing"
        if s.target == "local":
            mend = f"give an address that this machine reaches, or none: --set {service.knob}="
        yield Finding(check=CHECK, name=service.knob, status=status, detail=detail, mend=mend)  # type: ignore[arg-type]
    elif not s.probe:
        yield Finding(check=CHECK, name=service.knob, status="unknown", detail=f"{NOT_ASKED}: {address}")
    else:
        fine, detail = ask(address)
        mend = f"start the service or correct --set {service.knob}=…; --no-probe leaves this out"
        yield (
            s.ok(CHECK, service.knob, detail)
            if fine
            else Finding(check=CHECK, name=service.knob, status="missing", detail=detail, mend=mend)
        )


def address_problem(address: str, target: str) -> str:
    """Why this cannot be the address of a service for `target`; empty when it may be."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"expected http://HOST:PORT/v1, got {address!r} ({error})"
    if parts.username or parts.password:
        return "the address holds a user or a password, which every log would show: leave it out"
    if parts.scheme not in ("http", "https") or not host or any(c.isspace() for c in address):
        return f"expected http://HOST:PORT/v1, got {address!r}"
    if target == "osmo" and is_loopback(host):
        return f"{host} is this machine; a pod of the cluster cannot reach it"
    return ""


def is_loopback(host: str) -> bool:
    """Whether the host is this machine itself, by its name or number."""
    if host.lower().rstrip(".") in ("localhost", "localhost.localdomain") or host.lower().endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def ask(address: str, *, limit_s: float = TIME_LIMIT_S) -> tuple[bool, str]:
    """Whether GET …/v1/models answers with a list within the limit, however slowly it drips; and words for it."""
    base = address.rstrip("/")
    url = f"{base}/models" if base.endswith("/v1") else f"{base}/v1/models"
    result: list[tuple[bool, str]] = []
    # A thread of its own: looking up a name cannot be given a time limit.
    thread = threading.Thread(target=lambda: result.append(_get(url, limit_s)), daemon=True)
    thread.start()
    thread.join(limit_s + 1)
    return result[0] if result else (False, f"{url} did not answer within {limit_s:g} s")


class _Stay(urllib.request.HTTPRedirectHandler):
    """No redirects: what answers must be what was named."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Never."""
        return


def _get(url: str, limit_s: float) -> tuple[bool, str]:
    handlers: list[urllib.request.BaseHandler] = [_Stay()]
    if is_loopback(urlsplit(url).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy would look for it on its own machine
    end = time.monotonic() + limit_s
    data = b""
    try:
        request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - http(s) only
        with urllib.request.build_opener(*handlers).open(request, timeout=limit_s) as answer:
            while piece := answer.read1(1 << 16):
                data += piece
                if len(data) > _MAX_ANSWER:
                    return False, f"{url} answered more than 1 MiB: not a list of models"
                if time.monotonic() > end:
                    return False, f"{url} did not finish its answer within {limit_s:g} s"
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            return False, f"{url} answers, and wants a key that was not given (HTTP {error.code})"
        return False, f"{url} answers with HTTP {error.code}, not with a list of models"
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return False, f"{url} does not answer ({str(reason)[:200] or type(reason).__name__})"
    return _models(url, data)


def _models(url: str, data: bytes) -> tuple[bool, str]:
    try:
        found = json.loads(data)
        names = [str(row["id"]) for row in found["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False, f"{url} answers, but not with a list of models"
    return True, f"{url} serves {', '.join(repr(name)[1:-1] for name in names[:5])[:300] or 'no model'}"
