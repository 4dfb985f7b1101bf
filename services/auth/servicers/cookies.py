"""The session cookie of browsers."""

from core.rpc.reply import add_header

NAME = "portico_session"


class Cookies:
    """`seconds` is how long a session lives. `secure` cookies travel over TLS alone."""

    def __init__(self, seconds: float, *, secure: bool) -> None:
        self._seconds = int(seconds)
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")

    def keep(self, token: str) -> None:
        """With the answer, let the browser keep the session."""
        add_header("set-cookie", f"{NAME}={token}; Max-Age={self._seconds}{self._attributes}")

    def forget(self) -> None:
        add_header("set-cookie", f"{NAME}=; Max-Age=0{self._attributes}")
