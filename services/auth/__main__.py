"""`python -m services.auth [serve | tenant | doctor | list-keys | rotate-keys | withdraw-key | create-tenant | ...]`"""

import os

from core.app import main
from services.auth import commands_doctor, commands_tenant
from services.auth.app import build
from services.auth.commands import COMMANDS
from services.auth.domain.tables import COLLECTIONS
from services.auth.settings import Settings

if __name__ == "__main__":
    main(
        "auth",
        Settings,
        build,
        (*COMMANDS, commands_tenant.COMMAND, commands_doctor.COMMAND),
        os.environ,
        collections=COLLECTIONS,
    )
