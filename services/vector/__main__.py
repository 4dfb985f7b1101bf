"""`python -m services.vector`"""

import os

from core.app import run
from services.vector.app import build
from services.vector.settings import Settings

if __name__ == "__main__":
    run("vector", Settings, build, os.environ)
