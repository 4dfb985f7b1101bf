"""The session cookie of browsers."""

from core.rpc.call import CallContext

PLAIN = "portico_session"
HOST_BOUND = "__Host-portico_session"
"""Browsers accept it only over TLS and only from the very host that it is for: no neighbouring host can plant one."""


class Cookies:
    """`seconds` is how long a session lives. `secure` cookies travel over TLS alone."""

    def __init__(self, seconds: float, *, secure: bool) -> None:
        self._seconds = int(seconds)
        self._names = (HOST_BOUND, PLAIN) if secure else (PLAIN,)
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")

    def keep(self, token: str, context: CallContext) -> None:
        """Set the session cookie with the answer."""
        context.add_header("set-cookie", f"{self._names[0]}={token}; Max-Age={self._seconds}{self._attributes}")

    def forget(self, context: CallContext) -> None:
        """Delete the session cookie with the answer, also under the name of earlier versions."""
        for name in self._names:
            context.add_header("set-cookie", f"{name}=; Max-Age=0{self._attributes}")
