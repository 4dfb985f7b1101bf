"""`python -m services.rag [serve | rotate-credentials]`"""

import os

from core.app import main
from core.providers import rotation
from services.rag.app import build
from services.rag.domain.files.tables import PROVIDERS
from services.rag.domain.tables import COLLECTIONS
from services.rag.settings import Settings

if __name__ == "__main__":
    main("rag", Settings, build, [rotation.command(PROVIDERS)], os.environ, collections=COLLECTIONS)
