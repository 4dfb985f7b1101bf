"""The tables of the service in the tenants' stores. Traces themselves lie in a TraceStore."""

from core.storage.ports import Collection, Level
from services.tracing.domain.alerts import records as alerts
from services.tracing.domain.monitoring import records as monitoring

SETTINGS = Collection("tracing_settings", Level.TENANT)
COLLECTIONS = (SETTINGS, *monitoring.COLLECTIONS, *alerts.COLLECTIONS)
