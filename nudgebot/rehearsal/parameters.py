"""What did the caller ask for?  One call's parameters out of a query string, a form, a multipart body or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message as Headers
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import parse_qsl

import orjson

from nudgebot.rehearsal.errors import bad_request, unknown_field


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with the call."""

    name: str
    mime_type: str
    content: bytes


def whole(value: Any, name: str) -> int:
    """A number, also when it comes as text.  Raises ApiError 400."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise bad_request(f"{name} must be an integer") from None


class Parameters:
    """Values as they came (text from forms, anything from JSON), read as the type a method needs."""

    __slots__ = ("uploads", "values")

    def __init__(self, values: dict[str, Any], uploads: dict[str, Upload] | None = None) -> None:
        self.values = values
        self.uploads = uploads or {}

    def names(self) -> set[str]:
        """What was given.  A part that only carries the file of an `attach://name` is no parameter."""
        attached = {name for name in self.uploads if f"attach://{name}" in self.values.values()}
        return (self.values.keys() | self.uploads.keys()) - attached

    def text(self, name: str, default: str = "") -> str:
        value = self.values.get(name)
        if value is None:
            return default
        return value if isinstance(value, str) else orjson.dumps(value).decode()

    def integer(self, name: str, default: int | None = None) -> int | None:
        value = self.values.get(name)
        return default if value is None or value == "" else whole(value, name)

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if isinstance(value, str):
            return value.strip().lower() in ("true", "yes", "1")
        return bool(value)

    def json(self, name: str) -> Any:
        """A structure: JSON bodies carry it as such, forms as JSON text.  None when absent or empty."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise bad_request(f"can't parse {name.replace('_', ' ')} JSON object") from None

    def object(self, name: str, fields: frozenset[str]) -> dict[str, Any] | None:
        """A JSON object with only these fields; None when absent or empty."""
        value = self.json(name)
        if not value:
            return None
        if not isinstance(value, dict):
            raise bad_request(f"can't parse {name.replace('_', ' ')}: expected an Object")
        for field in value.keys() - fields:
            raise unknown_field(field, name)
        return value

    def upload(self, name: str) -> Upload | None:
        """The file sent as `name`, directly or by `attach://`."""
        value = self.values.get(name)
        if isinstance(value, str) and value.startswith("attach://"):
            return self.uploads.get(value.removeprefix("attach://"))
        return self.uploads.get(name)


def decoded(content_type: str, body: bytes, query: bytes) -> Parameters:
    """Raises ApiError 400 for a body that is not what its content type says."""
    try:
        return _decoded(content_type.strip(), body, query)
    except UnicodeDecodeError:
        raise bad_request("strings must be encoded in UTF-8") from None


def _decoded(content_type: str, body: bytes, query: bytes) -> Parameters:
    values: dict[str, Any] = _form(query) if query else {}
    if not body:
        return Parameters(values)
    kind = content_type.partition(";")[0].lower()
    if kind == "application/json":
        return Parameters(values | _json_object(body))
    if kind == "application/x-www-form-urlencoded":
        return Parameters(values | _form(body))
    if kind == "multipart/form-data":
        fields, uploads = _multipart(content_type, body)
        return Parameters(values | fields, uploads)
    return Parameters(values)


def _form(body: bytes) -> dict[str, Any]:
    return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("can't parse request JSON object") from None
    if not isinstance(value, dict):
        raise bad_request("expected JSON object in the request body")
    return value


def _multipart(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, Upload]]:
    header = Headers()
    header["content-type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str):
        raise bad_request("boundary parameter not found in multipart Content-Type")
    fields: dict[str, str] = {}
    uploads: dict[str, Upload] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        if part.startswith(b"--"):
            break
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
        name = headers.get_param("name", header="content-disposition")
        file_name = headers.get_filename()
        if file_name is not None:
            uploads[str(name)] = Upload(file_name, headers.get_content_type(), content)
        else:
            fields[str(name)] = content.decode()
    return fields, uploads
