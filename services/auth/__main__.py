"""`python -m services.auth [serve | list-keys | rotate-keys | withdraw-key | create-tenant]`"""

import os

from core.app import main
from services.auth.app import build
from services.auth.commands import COMMANDS
from services.auth.domain.tables import COLLECTIONS
from services.auth.settings import Settings

if __name__ == "__main__":
    main("auth", Settings, build, COMMANDS, os.environ, collections=COLLECTIONS)
