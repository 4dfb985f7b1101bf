"""`python -m services.tracing`"""

import os

from core.app import main
from services.tracing.app import build
from services.tracing.domain.tables import COLLECTIONS
from services.tracing.settings import Settings

if __name__ == "__main__":
    main("tracing", Settings, build, env=os.environ, collections=COLLECTIONS)
