"""`python -m services.rag`"""

import os

from core.app import run
from services.rag.app import build
from services.rag.settings import Settings

if __name__ == "__main__":
    run("rag", Settings, build, os.environ)
