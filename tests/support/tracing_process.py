"""The tracing service as a process of its own, without auth, for tests that kill it: `python -m
tests.support.tracing_process KEY_ID PEM_FILE`. Its settings are the environment's."""

import sys
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from core import app
from core.app import Platform
from core.rpc.server import ServiceRegistration
from services.tracing.app import serve
from services.tracing.domain.tables import COLLECTIONS
from services.tracing.settings import Settings
from tests.support.stores import TENANTS


async def build(platform: Platform, settings: Settings) -> Sequence[ServiceRegistration]:
    platform.keys.replace({sys.argv[1]: _public_key(Path(sys.argv[2]))})
    platform.revocations.replace([])
    for tenant in TENANTS:
        await platform.store.create_tenant(tenant)
    return await serve(platform, settings)


def _public_key(path: Path) -> EllipticCurvePublicKey:
    key = load_pem_public_key(path.read_bytes())
    assert isinstance(key, EllipticCurvePublicKey)
    return key


if __name__ == "__main__":
    app.run("tracing", Settings, build, collections=COLLECTIONS)
