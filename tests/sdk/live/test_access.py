"""Who gets in: hosts, origins, tokens, and the headers of answers."""

from __future__ import annotations

from typing import Any

import pytest

from faceaffect.live.access import COOKIE, Access
from faceaffect.live.settings import LiveError, LiveSettings

REQUIRES = ("fastapi", "prometheus_client")
TOKEN = "a-token-of-some-length"
HERE = {"host": "127.0.0.1:8750"}


def refusal(settings: LiveSettings, path: str = "/v1/model", **headers: str) -> str:
    """The code of a refusal; empty if the request passes."""
    names = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    refused = Access(settings).refusal({"path": path, "headers": [*names.items()]})
    return refused[1] if refused else ""


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1:8750", True),
        ("localhost:8750", True),
        ("LOCALHOST", True),
        ("[::1]:8750", True),
        ("127.8.8.8:1", True),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example:8750", False),
        ("192.168.1.4:8750", False),  # no such address reaches a loopback socket
        ("[", False),
    ],
)
def test_other_hosts_are_refused(host: str, is_own: bool) -> None:
    assert refusal(LiveSettings(), host=host) == ("" if is_own else "wrong_host")


def test_addresses_and_named_hosts_reach_an_open_server() -> None:
    settings = LiveSettings(host="0.0.0.0", token=TOKEN, host_names=("Faces.example",))
    bearer = f"Bearer {TOKEN}"
    for host in ("192.168.1.4:8750", "faces.example", "localhost:8750"):
        assert refusal(settings, host=host, authorization=bearer) == ""
    assert refusal(settings, host="evil.example", authorization=bearer) == "wrong_host"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, ""),
        ({"origin": "http://127.0.0.1:8750"}, ""),
        ({"origin": "http://localhost:8750"}, "wrong_origin"),  # another site than 127.0.0.1
        ({"origin": "http://127.0.0.1:9999"}, "wrong_origin"),
        ({"origin": "https://evil.example"}, "wrong_origin"),
        ({"origin": "null"}, "wrong_origin"),
        ({"origin": ""}, "wrong_origin"),
        ({"sec_fetch_site": "cross-site"}, "wrong_origin"),
        ({"sec_fetch_site": "same-site"}, "wrong_origin"),
        ({"sec_fetch_site": "same-origin"}, ""),
    ],
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str], code: str) -> None:
    assert refusal(LiveSettings(), **HERE, **headers) == code


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "no_token"),
        ({"authorization": f"Bearer {TOKEN}"}, ""),
        ({"authorization": f"bearer  {TOKEN}"}, ""),
        ({"authorization": f"Basic {TOKEN}"}, "no_token"),
        ({"authorization": f"Bearer {TOKEN}x"}, "no_token"),
        ({"authorization": "Bearer \u00e4"}, "no_token"),
        ({"cookie": f"{COOKIE}={Access(LiveSettings(token=TOKEN)).session()}"}, ""),
        ({"cookie": f"{COOKIE}={TOKEN}"}, "no_token"),
        ({"cookie": f"{COOKIE}={Access(LiveSettings(token=TOKEN + 'x')).session()}"}, "no_token"),
    ],
)
def test_the_api_needs_the_token(headers: dict[str, str], code: str) -> None:
    settings = LiveSettings(token=TOKEN)
    for path in ("/v1/model", "/v1/stream", "/metrics", "/openapi.json"):
        assert refusal(settings, path, **HERE, **headers) == code
    for path in ("/", "/static/live.js", "/healthz"):
        assert refusal(settings, path, **HERE, **headers) == ""


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"host": "0.0.0.0"}, "without one"),
        ({"host": "192.168.1.4"}, "without one"),
        ({"token": "short"}, "at least 16"),
        ({"tls_cert": "cert.pem"}, "together"),
    ],
)
def test_unsafe_settings_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(LiveError, match=text):
        LiveSettings(**settings)
