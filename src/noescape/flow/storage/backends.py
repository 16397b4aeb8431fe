"""Which library speaks to which object store, and with which credentials: those given, or those of the environment."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Mapping
from threading import Lock
from typing import Any

from noescape.flow.storage.urls import remote_parts
from noescape.records import UsageError

Secrets = Mapping[str, Mapping[str, str]]

_LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "azure": "adlfs"}
_PUBLIC = {"endpoint", "override_url", "region", "addressing_style"}  # of a credential: what is no secret
_ENVIRONMENT = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
)  # fmt: skip
_SPEAKING = ("AWS_", "AZURE_", "GOOGLE_", "STORAGE_EMULATOR")  # variables that the libraries read
_systems: dict[tuple[Any, ...], Any] = {}
_lock = Lock()
_GS_AS_S3 = "https://storage.googleapis.com"


def fitting(url: str, secrets: Secrets) -> Mapping[str, str]:
    """The credential for `url`: of those whose `endpoint` begins the url the longest, else one that names no storage.

    An `endpoint` that is an http address is where the server listens and binds the credential to no storage.
    """
    best: tuple[int, str] | None = None
    for name in sorted(secrets):
        endpoint = secrets[name].get("endpoint", "").rstrip("/")
        bound = "://" in endpoint and not endpoint.startswith(("http://", "https://"))
        if bound and not f"{url}/".startswith(f"{endpoint}/"):
            continue
        rank = len(endpoint) if bound else 0
        if best is None or rank > best[0]:
            best = (rank, name)
    return secrets[best[1]] if best else {}


def hidden_values(payload: Mapping[str, str]) -> tuple[str, ...]:
    """What must not appear in any message: the secret parts of a credential and of the environment."""
    values = {value for key, value in payload.items() if key not in _PUBLIC}
    values |= {os.environ.get(name, "") for name in _ENVIRONMENT}
    return tuple(sorted(value for value in values if value))


def library(url: str, payload: Mapping[str, str]) -> str:
    """The module that reads `url`; UsageError with the line that installs it if it is missing."""
    scheme = remote_parts(url)[0]
    extra = "s3" if scheme == "gs" and _is_keys(payload) else scheme
    name = _LIBRARIES[extra]
    if importlib.util.find_spec(name) is None:
        raise UsageError(f"{url}: {scheme}:// needs {name}, which is not installed: pip install 'noescape[{extra}]'")
    return name


def connect(url: str, payload: Mapping[str, str]) -> Any:
    """The fsspec file system for `url`, without any cache of listings.

    One for each account, credential and environment of this process: making one costs up to half a second.
    """
    scheme, parts = remote_parts(url)
    environment = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_SPEAKING)))
    account = parts[0] if scheme == "azure" else ""
    key = (os.getpid(), scheme, account, tuple(sorted(payload.items())), environment)
    with _lock:
        if key not in _systems:
            _systems[key] = _make(scheme, parts, payload)
        return _systems[key]


def _make(scheme: str, parts: list[str], payload: Mapping[str, str]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the libraries say about themselves
        if scheme == "azure":
            return _azure(parts[0], payload)
        if scheme == "gs" and not _is_keys(payload):
            return _gs(payload)
        return _s3({**payload, "override_url": _address(payload) or _GS_AS_S3} if scheme == "gs" else payload)


def _is_keys(payload: Mapping[str, str]) -> bool:
    return bool(payload.get("access_key_id") and payload.get("access_key"))


def _address(payload: Mapping[str, str]) -> str | None:
    endpoint = payload.get("endpoint", "")
    return payload.get("override_url") or (endpoint if endpoint.startswith(("http://", "https://")) else None)


def _s3(payload: Mapping[str, str]) -> Any:
    from s3fs import S3FileSystem

    address = _address(payload)
    elsewhere = address or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    style = payload.get("addressing_style") or ("path" if elsewhere else None)  # servers of one's own know only paths
    config: dict[str, Any] = {
        "connect_timeout": 10,
        "read_timeout": 60,
        "retries": {"mode": "standard", "max_attempts": 2},
    }
    if style:
        config["s3"] = {"addressing_style": style}
    client = {"region_name": payload["region"]} if payload.get("region") else {}
    system = S3FileSystem(
        key=payload.get("access_key_id") or None,
        secret=payload.get("access_key") or None,
        endpoint_url=address,
        client_kwargs=client,
        config_kwargs=config,
        max_concurrency=2,
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    system.retries = 2  # of answers that break off; each of them is asked for up to twice
    return system


def _gs(payload: Mapping[str, str]) -> Any:
    from gcsfs import GCSFileSystem

    return GCSFileSystem(
        token=payload.get("access_key") or None,
        endpoint_url=_address(payload),
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _azure(account: str, payload: Mapping[str, str]) -> Any:
    from adlfs import AzureBlobFileSystem

    key, address = payload.get("access_key", ""), _address(payload)
    options: dict[str, Any] = {"account_name": account}
    if "AccountKey=" in key or "SharedAccessSignature=" in key or "BlobEndpoint=" in key:
        options["connection_string"] = key
    elif "sig=" in key and address:
        options["connection_string"] = f"BlobEndpoint={address};SharedAccessSignature={key.removeprefix('?')};"
    elif "sig=" in key:
        options["sas_token"] = key
    elif key and address:
        protocol = address.partition(":")[0]
        options["connection_string"] = (
            f"DefaultEndpointsProtocol={protocol};AccountName={account};AccountKey={key};BlobEndpoint={address};"
        )
    elif key:
        options["account_key"] = key
    return AzureBlobFileSystem(**options, max_concurrency=2, use_listings_cache=False, skip_instance_cache=True)
