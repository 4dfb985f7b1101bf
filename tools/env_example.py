"""Writes `.env.example` from the settings of core and of every service; `--check` fails where it is stale."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from core import config
from core.app import CoreSettings
from services.auth.settings import TenantCommandSettings
from tools.edge_container import EdgeSettings
from tools.settings import RunSettings

HEAD = """\
# Every setting of Portico, with its default. Generated from the code: `make fix` writes it.
# A secret is given in its variable, or in a file that the same name with _FILE says, not in both.

"""


def text() -> str:
    names = sorted(path.parent.name for path in (ROOT / "services").glob("*/settings.py"))
    classes = [importlib.import_module(f"services.{name}.settings").Settings for name in names]
    return HEAD + config.example(CoreSettings, *classes, TenantCommandSettings, EdgeSettings, RunSettings)


def main() -> None:
    path = ROOT / ".env.example"
    if "--check" not in sys.argv:
        path.write_text(text())
    elif not path.exists() or path.read_text() != text():
        sys.exit(".env.example is stale: run `make fix` and commit the result")


if __name__ == "__main__":
    main()
