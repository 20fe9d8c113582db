"""Images, files and audio as clients really send them: what reached the provider, and what is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.recording import Recording

OPENAI, CLAUDE, GEMINI = "openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash"
PNG, JPEG, PDF = "iVBORw0KGgoAAA==", "/9j/4AAQSkZJRgAB", "JVBERi0xLjQK"
DROPPED = "x-tooloo-dropped-parameters"


def asked(*parts: dict[str, Any]) -> list[Any]:
    return [{"role": "user", "content": [{"type": "text", "text": "x"}, *parts]}]


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def file(data: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, **more}}


def audio(data: str, **more: Any) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, **more}}


@pytest.mark.parametrize(
    ("url", "media_type", "data"),
    [
        (f"data:image/png;base64,{JPEG}", "image/jpeg", JPEG),  # Claude refuses one that says another type
        (f"data:image/*;base64,{PNG}", "image/png", PNG),
        (f"data:application/octet-stream;base64,{PNG}", "image/png", PNG),
        (f"data:image/png;base64,{PNG[:8]}\r\n{PNG[8:]}\n", "image/png", PNG),
        (f"data:image/jpeg;base64,{JPEG[:4]}_-8=", "image/jpeg", f"{JPEG[:4]}/+8="),
        (f"data:image/png;base64,{PNG.rstrip('=')}", "image/png", PNG),
        (f"data:image/png;base64,{PNG}", "image/png", PNG),
    ],
)
def test_an_image_goes_out_as_vendors_read_it(front: Recording, url: str, media_type: str, data: str) -> None:
    messages = asked(image(url))
    source = {"type": "base64", "media_type": media_type, "data": data}
    assert front.sent(CLAUDE, messages)["messages"][0]["content"][1]["source"] == source
    inline = {"mimeType": media_type, "data": data}
    assert front.sent(GEMINI, messages)["contents"][0]["parts"][1]["inlineData"] == inline
    sent = front.sent(OPENAI, messages)["messages"][0]["content"][1]["image_url"]["url"]
    assert sent == f"data:{media_type};base64,{data}"


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (image(PNG), "image_url.url"),
        (image("/home/cat.png"), "image_url.url"),
        (image("data:image/png;base64,"), "image_url.url"),
        (image("data:image/*;base64,AAAA"), "image_url.url"),
        (file("aGVsbG8="), "file.file_data"),
        (file("data:application/pdf;base64,"), "file.file_data"),
    ],
)
def test_what_is_no_image_or_file_is_refused_by_name(front: Recording, part: dict[str, Any], field: str) -> None:
    response = front.ask("auto", asked(part))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == f"messages.0.content.1.{field}"


@pytest.mark.parametrize("kind", ["gif", "svg+xml", "bmp", "avif"])
def test_gemini_is_not_asked_for_images_it_refuses(front: Recording, kind: str) -> None:
    response = front.ask(GEMINI, asked(image(f"data:image/{kind};base64,AAAA")))
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("unsupported", "messages.0.content.1.image_url")
    assert not front.servers["gemini"].received


@pytest.mark.parametrize(
    ("model", "part", "field"),
    [
        ("deepseek/deepseek-chat", image(f"data:image/png;base64,{PNG}"), "image_url"),
        (CLAUDE, image("data:image/heic;base64,AAAA"), "image_url"),
        (CLAUDE, audio("AAAA", format="wav"), "input_audio"),
        (CLAUDE, file("", file_id="file-1"), "file"),
        (GEMINI, file("", file_id="file-1"), "file"),
        (CLAUDE, file("data:application/zip;base64,AAAA"), "file"),
    ],
)
def test_what_a_target_cannot_read_is_named(front: Recording, model: str, part: dict[str, Any], field: str) -> None:
    response = front.ask(model, asked(part))
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("unsupported", f"messages.0.content.1.{field}")


def test_the_base64_of_a_pdf_is_one(front: Recording) -> None:
    sent = front.sent(CLAUDE, asked(file(PDF, filename="a.pdf")))
    document = sent["messages"][0]["content"][1]
    assert (document["source"]["media_type"], document["title"]) == ("application/pdf", "a.pdf")


def test_a_files_name_is_not_lost_in_silence(front: Recording) -> None:
    messages = asked(file(f"data:application/pdf;base64,{PDF}", filename="a.pdf"))
    assert front.ask(GEMINI, messages).headers[DROPPED] == "file.filename"
    assert DROPPED not in front.ask(CLAUDE, messages).headers
    assert DROPPED not in front.ask(OPENAI, messages).headers


def test_audio_in_a_data_url_is_audio(front: Recording) -> None:
    sent = front.sent(GEMINI, asked(audio("data:audio/wav;base64,AAAA", format="wav")))
    assert sent["contents"][0]["parts"][1]["inlineData"] == {"mimeType": "audio/wav", "data": "AAAA"}
