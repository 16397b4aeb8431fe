"""HTTP to one origin: capped in time and size, no way off that origin, and the key in no message.

The standard library alone, with no proxy: a service for images is a neighbour, on this machine or in the cluster.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from noescape.defects.restyle.errors import EndpointError
from noescape.defects.restyle.keys import Secret
from noescape.records import UsageError

MAX_HOPS = 3
CONNECT_S = 20.0
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
Origin = tuple[str, str, int]  # scheme, host, port


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer: status, the headers that are read (names in lower case), body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Transport:
    """Requests to the service at `address` (`http://host:port`, with or without `/v1`)."""

    def __init__(self, address: str, secret: Secret, *, max_bytes: int) -> None:
        self.origin, self.root = origin_of(address)
        self._secret, self._max_bytes = secret, max_bytes

    def url(self, path: str) -> str:
        """The full address of a path from the root of the service, or of a link in an answer."""
        return urljoin(self.root + "/", path) if is_absolute(path) else self.root + path

    def same_origin(self, url: str) -> bool:
        """Whether a URL leads to this service and nowhere else."""
        try:
            return _origin(url) == self.origin
        except ValueError:
            return False

    def send(self, path: str, *, timeout_s: float, body: bytes | None = None, content_type: str = "") -> Reply:
        """GET, or POST where there is a body. EndpointError when it fails, is too slow, too large or leads away."""
        url, end = self.url(path), time.monotonic() + timeout_s
        for _ in range(MAX_HOPS + 1):
            reply = self._once(url, end, timeout_s, body, content_type)
            if reply.status not in _REDIRECTS:
                return reply
            target = urljoin(url, reply.headers.get("location", ""))
            if not self.same_origin(target):
                there = urlsplit(target).hostname or "nowhere"
                raise self._error("redirect", f"sends on to another place ({there[:80]}), which is not followed")
            if body is not None and reply.status not in (307, 308):
                raise self._error("redirect", f"answers HTTP {reply.status}, which would drop what was sent")
            url = target
        raise self._error("redirect", f"sends on more than {MAX_HOPS} times")

    def _error(self, code: str, text: str, *, again: bool = False) -> EndpointError:
        return EndpointError(code, self._secret.scrub(f"{self.root} {text}"), again=again)

    def _once(self, url: str, end: float, timeout_s: float, body: bytes | None, content_type: str) -> Reply:
        watch = _Watch()
        late = self._error("timeout", f"did not finish within {timeout_s:g} s", again=True)
        try:
            sock = self._connect(max(0.01, min(CONNECT_S, end - time.monotonic())))
            with sock, watch.until(sock, end):
                reply = self._exchange(sock, url, end, body, content_type)
        except EndpointError as error:
            raise late if watch.fired else error from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if watch.fired or isinstance(error, TimeoutError):
                raise late from None
            reason = str(getattr(error, "strerror", None) or error) or type(error).__name__
            raise self._error("unreachable", f"does not answer ({reason[:200]})", again=True) from None
        if watch.fired:  # an answer of no announced length looks whole wherever it is cut
            raise late
        return reply

    def _connect(self, wait_s: float) -> socket.socket:
        scheme, host, port = self.origin
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        address = str(found[0][4][0])  # looked up once and used as it is: a name cannot change its mind in between
        self._refuse_odd(address)
        sock = socket.create_connection((address, port), timeout=wait_s)
        if scheme == "http":
            return sock
        try:
            return ssl.create_default_context().wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise

    def _refuse_odd(self, address: str) -> None:
        number = ipaddress.ip_address(address.partition("%")[0])
        number = getattr(number, "ipv4_mapped", None) or number
        if number.is_link_local or number.is_multicast or str(number) == "fd00:ec2::254":
            raise self._error("refused", f"is {number}, an address where clouds keep credentials; it is not asked")
        if self.origin[0] == "http" and self._secret and not (number.is_private or number.is_loopback):
            raise self._error("refused", "is not on this network and would get the key unencrypted: use https://")

    def _exchange(self, sock: socket.socket, url: str, end: float, body: bytes | None, content_type: str) -> Reply:
        sock.settimeout(max(0.01, end - time.monotonic()))
        connection = http.client.HTTPConnection(self.origin[1], self.origin[2])
        connection.sock = sock
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "noescape"}
        headers |= {"Connection": "close"} | self._secret.header()
        headers |= {"Content-Type": content_type} if content_type else {}
        with suppress(BrokenPipeError, ConnectionResetError):  # it stopped listening early, and may have said why
            connection.request("GET" if body is None else "POST", path, body=body, headers=headers)
        with closing(connection.getresponse()) as answer:
            kept = {name.lower(): value[:2000] for name, value in answer.getheaders()}
            if kept.get("content-encoding", "identity").lower() not in ("identity", ""):
                raise self._error("bad_answer", "answers compressed, which was not asked for")
            return Reply(status=answer.status, headers=kept, body=self._read(answer, kept))

    def _read(self, answer: http.client.HTTPResponse, headers: dict[str, str]) -> bytes:
        announced = headers.get("content-length", "")
        length = int(announced) if announced.isdecimal() else None
        data = bytearray()
        if length is None or length <= self._max_bytes:
            while piece := answer.read1(1 << 16):
                data += piece
                if len(data) > self._max_bytes:
                    break
        if (length or len(data)) > self._max_bytes or len(data) > self._max_bytes:
            raise self._error("too_large", f"answers more than the {self._max_bytes} bytes that are read")
        if length is not None and len(data) < length:
            raise self._error("bad_answer", f"ended its answer after {len(data)} of {length} bytes", again=True)
        return bytes(data)


class _Watch:
    """Closes a connection at a moment, however slowly it drips; a socket's own timeout begins anew at each byte."""

    def __init__(self) -> None:
        self.fired = False
        self._timer: threading.Timer | None = None

    def until(self, sock: socket.socket, end: float) -> _Watch:
        self._timer = threading.Timer(max(0.01, end - time.monotonic()), self._fire, (sock,))
        self._timer.daemon = True
        return self

    def _fire(self, sock: socket.socket) -> None:
        self.fired = True
        with suppress(OSError):  # it is closed already
            sock.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> None:
        if self._timer:
            self._timer.start()

    def __exit__(self, *_: Any) -> None:
        if self._timer:
            self._timer.cancel()


def is_absolute(path: str) -> bool:
    """Whether this is a whole URL."""
    return "://" in path


def origin_of(address: str) -> tuple[Origin, str]:
    """Origin and root (no `/v1`, no slash at the end) of a service's address; UsageError where it cannot be one."""
    expected = f"image-edit endpoint: expected http://HOST:PORT/v1, got {address[:200]!r}"
    try:
        parts, origin = urlsplit(address), _origin(address)
    except ValueError:
        raise UsageError(expected) from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            "image-edit endpoint: leave user and password out of the address; keys come from the environment"
        )
    if parts.query or parts.fragment or any(c.isspace() or ord(c) < 32 for c in address):
        raise UsageError(expected)
    root = address.rstrip("/")
    return origin, root.removesuffix("/v1").rstrip("/")


def _origin(url: str) -> Origin:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname:
        raise ValueError(url)
    return scheme, parts.hostname.lower(), parts.port or _PORTS[scheme]
