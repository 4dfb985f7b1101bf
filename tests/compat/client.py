"""HTTP/1.1 client that neither normalises paths and headers nor decodes bodies."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """HTTP response as received."""

    status: int
    headers: list[tuple[str, str]]
    """Names in lower case, in the order received."""
    body: bytes


class Client:
    """Persistent connection, reopened after the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send one request. Raises OSError or http.client.HTTPException where no answer arrives."""
        given = {name.lower() for name in headers}
        connection = self._connection
        connection.putrequest(method, path, skip_host="host" in given, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode())
        if "content-length" not in given and (body is not None or method in ("POST", "PUT", "PATCH")):
            connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        if response.will_close:
            connection.close()
        return Answer(response.status, [(name.lower(), value) for name, value in response.getheaders()], content)
