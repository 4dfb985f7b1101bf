"""TLS between the parts of an installation, with certificates on both sides.

One certificate serves a part as server and as client. It is valid for the host names under which the parts call each
other, and signed by an authority that signs for this installation alone: whoever has such a certificate may connect.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

from core.config import setting


@dataclass(frozen=True)
class TlsSettings:
    """TLS between Portico's parts; off unless all three are set"""

    cert_file: Path | None = setting(
        "PORTICO_TLS_CERT_FILE", default=None, help="Certificate of this part, in PEM, with its intermediates."
    )
    key_file: Path | None = setting("PORTICO_TLS_KEY_FILE", default=None, help="Private key of that certificate.")
    ca_file: Path | None = setting(
        "PORTICO_TLS_CA_FILE", default=None, help="Authority that signs the certificates of all parts, and no others."
    )

    def __post_init__(self) -> None:
        given = (self.cert_file, self.key_file, self.ca_file)
        if any(given) and not all(given):
            raise ValueError("PORTICO_TLS_CERT_FILE, PORTICO_TLS_KEY_FILE and PORTICO_TLS_CA_FILE must be set together")
        identity = self.identity
        try:
            if identity is not None:
                identity.server_context()
        except OSError as error:  # those of TLS are such too
            raise ValueError(f"the files of PORTICO_TLS_* cannot be used: {error}") from None

    @property
    def identity(self) -> "Identity | None":
        """This part's certificate; None: no TLS."""
        if self.cert_file is None or self.key_file is None or self.ca_file is None:
            return None
        return Identity(self.cert_file, self.key_file, self.ca_file)


@dataclass(frozen=True, slots=True)
class Identity:
    """The certificate of a part, in files. They are read when a server or a channel is made."""

    cert_file: Path
    key_file: Path
    ca_file: Path

    def server_context(self) -> ssl.SSLContext:
        """The context of a server, which takes clients with a certificate alone. Raises OSError."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.ca_file))
        context.load_cert_chain(self.cert_file, self.key_file)
        context.verify_mode = ssl.CERT_REQUIRED
        return context
