"""What the vendors of the OpenAI format put around an error: most copy OpenAI, some have a shape of their own."""

from __future__ import annotations

from typing import Any

from app.lab.refusals.rule import Kind

_GOOGLE = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"} | {
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
#: Mistral's own validation, which speaks pydantic
_UNPROCESSABLE = 422


def envelope(kind: Kind, status: int, message: str, type_: str, param: str | None, code: str | None) -> Any:
    match kind:
        case Kind.MISTRAL:
            said = _details(message, param) if status == _UNPROCESSABLE else message
            return {
                "object": "error",
                "message": said,
                "type": type_,
                "param": None,
                "code": code,
                "raw_status_code": status,
            }
        case Kind.GEMINI_OPENAI:
            error = {"code": status, "message": message, "status": _GOOGLE.get(status, "FAILED_PRECONDITION")}
            return [{"error": error}]
        case Kind.OPENROUTER:
            return {"error": {"message": message, "code": status}}
        case Kind.XAI:
            return {"code": code or "Client specified an invalid argument", "error": message}
        case Kind.KIMI:
            return {"error": {"message": message, "type": type_}}
        case Kind.GROQ:
            return {"error": {"message": message, "type": type_, **({"code": code} if code else {})}}
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def _details(message: str, param: str | None) -> dict[str, Any]:
    parts = (param or "").replace("[", ".").replace("]", "").split(".")
    where = ["body", *(int(part) if part.isdecimal() else part for part in parts if part)]
    return {"detail": [{"type": "extra_forbidden", "loc": where, "msg": message}]}
