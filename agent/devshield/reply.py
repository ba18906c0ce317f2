"""An HTTP answer as a value: the Worker, the edge, the API and the faults make them, the server sends them."""

import json
from dataclasses import dataclass
from typing import Any, Final

TEXT: Final = "text/plain;charset=UTF-8"
JSON: Final = "application/json"
HTML: Final = "text/html; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` are those beside Content-Type and Content-Length."""

    status: int
    content_type: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def page(status: int, title: str, text: str) -> Reply:
    """An HTML page, as edges, proxies and portals answer with."""
    html = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1><p>{text}</p></body></html>\n"
    return Reply(status, HTML, html.encode())


def envelope(
    result: Any, *, status: int = 200, errors: tuple[dict[str, Any], ...] = (), info: dict[str, int] | None = None
) -> Reply:
    """An answer of the v4 API; `info` is the page count of a list."""
    fields = {"success": not errors, "errors": list(errors), "messages": [], "result": result}
    if info is not None:
        fields["result_info"] = info
    return Reply(status, JSON, json.dumps(fields).encode())


def failure(status: int, code: int, message: str, *, chain: tuple[int, str] | None = None) -> Reply:
    """A refusal of the v4 API: code and message, and the cause below it when the API names one."""
    error: dict[str, Any] = {"code": code, "message": message}
    if chain is not None:
        error["error_chain"] = [{"code": chain[0], "message": chain[1]}]
    return envelope(None, status=status, errors=(error,))
