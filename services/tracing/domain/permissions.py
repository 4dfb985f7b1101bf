"""Permission for what is about a whole tenant."""

from core.context import Identity, Kind
from core.errors import PermissionDenied


def check_whole_tenant(caller: Identity) -> None:
    """Raises PermissionDenied for anything but a session: an API token reaches its own project alone."""
    if caller.kind is not Kind.SESSION:
        raise PermissionDenied("The settings of a whole tenant are changed in a session: sign in for it.")
