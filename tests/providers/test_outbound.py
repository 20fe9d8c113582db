"""Which way calls to a provider take, by its block and by the environment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.domain.catalog import FromEnvironment, Provider, WireFormat
from app.errors import ConfigError
from app.providers import outbound
from app.providers.http.dialing import Proxy

CORP = "http://corp:3128"
OTHER = Proxy("other", 8080)


def provider(base_url: str = "https://api.test/v1", **options: Any) -> Provider:
    return Provider("some", WireFormat.OPENAI, base_url, None, ("m",), **options)


@pytest.mark.parametrize(
    ("base_url", "environment", "proxy"),
    [
        ("https://api.test/v1", {}, None),
        ("https://api.test/v1", {"HTTPS_PROXY": CORP}, Proxy("corp", 3128)),
        ("https://api.test/v1", {"https_proxy": "other:8080", "HTTPS_PROXY": CORP}, OTHER),
        ("https://api.test/v1", {"https_proxy": " ", "HTTPS_PROXY": CORP}, Proxy("corp", 3128)),
        ("https://api.test/v1", {"HTTP_PROXY": CORP}, None),
        ("http://api.test/v1", {"HTTP_PROXY": CORP, "HTTPS_PROXY": "other:8080"}, Proxy("corp", 3128)),
        # user and password, escaped as in URLs
        ("https://a.test", {"HTTPS_PROXY": "http://u:p%40s@corp"}, Proxy("corp", 3128, "Basic dTpwQHM=")),
        # this machine itself
        ("http://127.0.0.1:11434/v1", {"HTTP_PROXY": CORP}, None),
        ("http://localhost:11434/v1", {"HTTP_PROXY": CORP}, None),
        ("http://[::1]:11434/v1", {"HTTP_PROXY": CORP}, None),
        # what the environment excepts
        ("https://api.test/v1", {"HTTPS_PROXY": CORP, "NO_PROXY": "*"}, None),
        ("https://api.test/v1", {"HTTPS_PROXY": CORP, "NO_PROXY": "x, test"}, None),
        ("https://api.test/v1", {"HTTPS_PROXY": CORP, "no_proxy": ".api.test"}, None),
        ("https://api.test/v1", {"HTTPS_PROXY": CORP, "NO_PROXY": "pi.test"}, Proxy("corp", 3128)),
        ("https://api.test/v1", {"HTTPS_PROXY": CORP, "NO_PROXY": "api.test:443"}, None),
        ("https://api.test/v1", {"HTTPS_PROXY": CORP, "NO_PROXY": "api.test:80"}, Proxy("corp", 3128)),
        ("http://10.1.2.3:8000", {"HTTP_PROXY": CORP, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://10.1.2.3:8000", {"HTTP_PROXY": CORP, "NO_PROXY": "11.0.0.0/8,3"}, Proxy("corp", 3128)),
        ("http://[fd00::1]:8000", {"HTTP_PROXY": CORP, "NO_PROXY": "fd00::1"}, None),
        ("http://[fd00::1]:8000", {"HTTP_PROXY": CORP, "NO_PROXY": "[fd00::1]:8000"}, None),
        ("https://api.test/v1", {"HTTPS_PROXY": CORP, "NO_PROXY": ""}, Proxy("corp", 3128)),
    ],
)
def test_the_environment_names_a_proxy(base_url: str, environment: dict[str, str], proxy: Proxy | None) -> None:
    assert outbound.way(provider(base_url), environment).proxy == proxy


@pytest.mark.parametrize(
    ("said", "environment", "proxy"),
    [
        ("direct", {"HTTPS_PROXY": CORP}, None),
        ("http://other:8080", {"HTTPS_PROXY": CORP, "NO_PROXY": "*"}, OTHER),
        (FromEnvironment("WAY_OUT"), {"WAY_OUT": "other:8080", "HTTPS_PROXY": CORP}, OTHER),
        (FromEnvironment("WAY_OUT"), {"WAY_OUT": "direct", "HTTPS_PROXY": CORP}, None),
    ],
)
def test_a_block_goes_before_the_environment(said: Any, environment: dict[str, str], proxy: Proxy | None) -> None:
    assert outbound.way(provider(proxy=said), environment).proxy == proxy


@pytest.mark.parametrize(
    ("said", "environment", "named", "why"),
    [
        (None, {"HTTPS_PROXY": "socks5://u:hidden@corp:1080"}, "HTTPS_PROXY", "socks5:// are not supported"),
        (None, {"https_proxy": "https://u:hidden@corp"}, "https_proxy", "https:// are not supported"),
        (None, {"HTTPS_PROXY": "http://u:hidden@corp:port"}, "HTTPS_PROXY", "no URL"),
        (None, {"HTTPS_PROXY": "http://:3128"}, "HTTPS_PROXY", "no host"),
        (None, {"HTTPS_PROXY": "http://corp:3128/hidden"}, "HTTPS_PROXY", "behind its port"),
        (FromEnvironment("WAY_OUT"), {}, "WAY_OUT", "not set"),
        (FromEnvironment("WAY_OUT"), {"WAY_OUT": "ftp://hidden"}, "WAY_OUT", "not supported"),
    ],
)
def test_what_is_no_proxy_is_refused_by_name_and_not_repeated(
    said: Any, environment: dict[str, str], named: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why) as refusal:
        outbound.way(provider(proxy=said), environment)

    assert named in str(refusal.value)
    assert "hidden" not in str(refusal.value)


def test_certificates_that_cannot_be_used_are_refused_at_the_start(tmp_path: Path) -> None:
    nothing, text = tmp_path / "missing.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    for options, why in (
        ({"ca_bundle": str(nothing)}, "some.ca_bundle: .*missing.pem cannot be read: No such file"),
        ({"ca_bundle": str(text)}, "some.ca_bundle: .*text.pem does not hold PEM"),
        ({"client_cert": str(nothing)}, "some.client_cert: .*missing.pem cannot be read"),
        ({"client_cert": str(text)}, "some.client_cert: .*text.pem does not hold"),
    ):
        with pytest.raises(ConfigError, match=why):
            outbound.way(provider(**options), {})


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the key of this test")
    both = tmp_path / "both.pem"
    kind = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -passout pass:secret"
    command = f"openssl req -x509 {kind} -days 2 -subj /CN=c -keyout k.pem -out c.pem"
    subprocess.run(command.split(), check=True, capture_output=True, cwd=tmp_path)
    both.write_bytes((tmp_path / "c.pem").read_bytes() + (tmp_path / "k.pem").read_bytes())

    with pytest.raises(ConfigError, match="no passphrase"):
        outbound.way(provider(client_cert=str(both)), {})
