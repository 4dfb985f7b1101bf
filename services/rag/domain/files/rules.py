"""The installation's rules for uploads."""

from dataclasses import dataclass

from core.errors import PayloadTooLarge, UnsupportedMedia
from services.rag.domain.files.names import essence


@dataclass(frozen=True, slots=True)
class Rules:
    """`allowed_types` holds MIME types and families such as image/*; empty: all."""

    max_bytes: int
    allowed_types: tuple[str, ...] = ()

    def check_size(self, size: int) -> None:
        """Check the size of a file. Raises PayloadTooLarge."""
        if size > self.max_bytes:
            limit = (
                f"{self.max_bytes // (1024 * 1024)} MiB" if self.max_bytes >= 1024 * 1024 else f"{self.max_bytes} bytes"
            )
            raise PayloadTooLarge(f"A file may have at most {limit}.", reason="FILE_TOO_LARGE", field="file")

    def check_type(self, content_type: str) -> None:
        """Check the type of a file. Raises UnsupportedMedia."""
        kind = essence(content_type)
        family = f"{kind.partition('/')[0]}/*"
        if self.allowed_types and not {kind, family} & {each.strip().lower() for each in self.allowed_types}:
            raise UnsupportedMedia(
                f"Files of type {kind} are not taken here.", reason="FILE_TYPE_NOT_ALLOWED", field="contentType"
            )
