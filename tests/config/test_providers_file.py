"""config/providers.toml: what a block may say, and what is said of one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config_files import load_providers
from app.domain.catalog import FromEnvironment
from app.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[2] / "config"


def written(folder: Path, wire: str, *lines: str) -> Path:
    head = ["[some]", f'format = "{wire}"', 'base_url = "http://h"', 'models = ["m"]']
    (folder / "providers.toml").write_text("\n".join([*head, *lines]), encoding="utf-8")
    return folder


def test_of_the_providers_we_ship_only_deepseek_is_told_a_schema_as_a_tool() -> None:
    by_tool = [each.name for each in load_providers(CONFIG) if dict(each.capabilities).get("json_schema") == "tool"]

    assert by_tool == ["deepseek"]


@pytest.mark.parametrize(
    ("line", "all_models", "one_model"),
    [
        ('json_schema = "tool"', {"json_schema": "tool"}, {}),
        ("prefill = true", {"prefill": "continued"}, {}),
        ('prefill = ["m"]', {}, {"m": {"prefill": "continued"}}),
        ("capabilities = { prefill = false }", {"prefill": "no"}, {}),
    ],
)
def test_older_words_for_a_capability_are_understood(
    tmp_path: Path, line: str, all_models: dict[str, str], one_model: dict[str, dict[str, str]]
) -> None:
    (provider,) = load_providers(written(tmp_path, "openai", line))

    assert dict(provider.capabilities) == all_models
    assert {pattern: dict(said) for pattern, said in provider.model_capabilities} == one_model
    assert len(provider.notes) == (not line.startswith("capabilities"))


def test_a_block_says_what_some_of_its_models_can(tmp_path: Path) -> None:
    (provider,) = load_providers(written(tmp_path, "openai", '[some.model_capabilities."m*"]', "vision = false"))
    assert provider.model_capabilities == (("m*", (("vision", False),)),)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('model_capabilities."x*" = { n = true }', "fits none"),
        ('model_capabilities."m" = { sight = 1 }', "unknown cap"),
    ],
)
def test_wrong_capabilities_of_models_are_refused_by_name(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refusal:
        load_providers(written(tmp_path, "openai", line))
    assert refusal.value.field == "some.model_capabilities"


def test_a_block_says_what_its_models_can(tmp_path: Path) -> None:
    (provider,) = load_providers(written(tmp_path, "openai", "capabilities = { vision = false, efforts = ['low'] }"))
    assert dict(provider.capabilities) == {"vision": False, "efforts": ("low",)}


@pytest.mark.parametrize(("said", "why"), [("sight = true", "unknown capability sight"), ("vision = 3", "vision: ")])
def test_a_wrong_capability_is_refused_by_name(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refusal:
        load_providers(written(tmp_path, "openai", f"capabilities = {{ {said} }}"))
    assert refusal.value.field == "some.capabilities"


@pytest.mark.parametrize(
    ("wire", "line", "why"),
    [
        ("openai", 'json_schema = "prompt"', "'native' or 'tool'"),
        ("openai", "json_schema = true", "'native' or 'tool'"),
        ("anthropic", 'json_schema = "tool"', "only a provider of format"),
        ("gemini", 'json_schema = "native"', "only a provider of format"),
    ],
)
def test_a_wrong_way_is_refused_by_file_key_and_reason(tmp_path: Path, wire: str, line: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refusal:
        load_providers(written(tmp_path, wire, line))

    assert "providers.toml: some.json_schema: " in refusal.value.message
    assert refusal.value.field == "some.json_schema"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('proxy = "socks5://corp:1080"', "some.proxy: proxies of the kind socks5:// are not supported"),
        ('proxy = "http://u:hidden@corp:3128"', "some.proxy: a password does not belong into this file"),
        ('proxy = "http://u:hidden@corp:x"', "some.proxy: it is no URL"),
        ('ca_bundle = "corp.pem"', "some.ca_bundle: only a base_url of https://"),
        ('client_cert = ""', "some.client_cert"),
    ],
)
def test_a_wrong_way_out_is_refused_by_name(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refusal:
        load_providers(written(tmp_path, "openai", line))
    assert "hidden" not in str(refusal.value)


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "openai", 'client_key = "k.pem"')
    file = tmp_path / "providers.toml"
    file.write_text(file.read_text().replace("http://", "https://"))

    with pytest.raises(ConfigError, match=r"some.client_key: .* client_cert, which is missing"):
        load_providers(tmp_path)


def test_certificates_stand_beside_the_file(tmp_path: Path) -> None:
    written(tmp_path, "openai", 'ca_bundle = "tls/corp.pem"', 'client_cert = "/etc/own.pem"', 'proxy = { env = "WAY" }')
    file = tmp_path / "providers.toml"
    file.write_text(file.read_text().replace("http://", "https://"))
    (provider,) = load_providers(tmp_path)

    assert provider.ca_bundle == str(tmp_path / "tls/corp.pem")
    assert (provider.client_cert, provider.client_key) == ("/etc/own.pem", None)
    assert provider.proxy == FromEnvironment("WAY")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://h/openai/deployments/gpt-4o?api-version=2024-10-21", "goes into query"),
        ("http://h/v1#frag", "nothing may stand behind its path"),
        ("http://h/v1/chat/completions", "leave '/chat/completions' out"),
        ("http://h/v1/chat/completions/", "leave '/chat/completions' out"),
        ("http://h/v1/messages", "leave '/messages' out"),
        ("http://h/v1/Responses", "leave '/Responses' out"),
        ("http://h/v1beta/models/gemini-2.5:generateContent", "leave '/models/gemini-2.5:generateContent' out"),
        ("http://user:s3cret@h/v1", "user and password are not sent"),
        ("http://user@h/v1", "user and password are not sent"),
    ],
)
def test_a_base_url_that_no_endpoint_can_stand_behind_is_refused(tmp_path: Path, url: str, told: str) -> None:
    (tmp_path / "providers.toml").write_text(
        f'[some]\nformat = "openai"\nbase_url = "{url}"\nmodels = ["m"]\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"some\.base_url") as refusal:
        load_providers(tmp_path)

    assert told in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["http://h/openai/v1/", "http://h", "http://h/v1beta/openai", "http://h/gateway/models-eu/v1"]
)
def test_any_other_path_may_stand_in_it(tmp_path: Path, url: str) -> None:
    (tmp_path / "providers.toml").write_text(
        f'[some]\nformat = "openai"\nbase_url = "{url}"\nmodels = ["m"]\n', encoding="utf-8"
    )

    assert load_providers(tmp_path)[0].base_url == url.rstrip("/")
