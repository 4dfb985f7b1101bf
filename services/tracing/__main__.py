"""`python -m services.tracing [serve | rotate-credentials]`"""

import os

from core.app import main
from core.providers import rotation
from services.tracing.app import build
from services.tracing.domain.alerts.records import RULES
from services.tracing.domain.monitoring.records import SERVERS
from services.tracing.domain.tables import COLLECTIONS
from services.tracing.settings import Settings

if __name__ == "__main__":
    main("tracing", Settings, build, [rotation.command(RULES, SERVERS)], os.environ, collections=COLLECTIONS)
