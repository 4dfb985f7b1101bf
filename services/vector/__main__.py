"""`python -m services.vector [serve | rotate-credentials]`"""

import os

from core.app import main
from core.providers import rotation
from services.vector.app import build
from services.vector.domain.tables import COLLECTIONS, PROVIDERS
from services.vector.settings import Settings

if __name__ == "__main__":
    main("vector", Settings, build, [rotation.command(PROVIDERS)], os.environ, collections=COLLECTIONS)
