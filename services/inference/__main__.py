"""`python -m services.inference [serve | rotate-credentials]`"""

import os

from core.app import main
from core.providers import rotation
from services.inference.app import build
from services.inference.domain.catalogue.migrations import MIGRATIONS
from services.inference.domain.tables import COLLECTIONS, PROVIDERS
from services.inference.settings import Settings

if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # threads of its own would go before the event loop's
    main(
        "inference",
        Settings,
        build,
        [rotation.command(PROVIDERS)],
        os.environ,
        collections=COLLECTIONS,
        migrations=MIGRATIONS,
    )
