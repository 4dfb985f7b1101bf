"""The limits on requests to tracing, from the constants and settings that enforce them."""

from core.limits import Limit
from services.tracing import mapping, mapping_json, mapping_otlp
from services.tracing.adapters import records
from services.tracing.domain import custom, merging, values
from services.tracing.domain.alerts.channels import MAX_CHANNELS, MAX_RECIPIENTS
from services.tracing.domain.alerts.incidents import MAX_INCIDENT_NOTES
from services.tracing.domain.alerts.rules import MAX_RULES
from services.tracing.domain.monitoring.servers import MAX_SERVERS
from services.tracing.settings import Settings


def limits(settings: Settings) -> tuple[Limit, ...]:
    return (
        Limit("A body of spans or events, unpacked", settings.max_body_mb, "MiB", "request", "413"),
        Limit("Spans", mapping_otlp.MAX_SPANS, "spans", "request"),
        Limit("Fields of a span in protobuf", mapping_otlp.MAX_FIELDS, "fields", "span", "rejected alone"),
        Limit("Depth of an attribute in JSON", mapping_otlp.MAX_DEPTH, "levels", "span", "rejected alone"),
        Limit("Members, objects and lists of JSON", mapping_json.BOUNDS.nodes, "values", "request"),
        Limit("Events", custom.MAX_EVENTS, "events", "request"),
        Limit("Ids of sessions, events and threads", values.MAX_ID, "characters", "session", "400, or cut"),
        Limit("Names, labels and models", values.MAX_NAME, "characters", "event", "cut"),
        Limit("Message and stack of an error", values.MAX_ERROR, "characters each", "event", "cut"),
        Limit("Agent and configuration, as JSON", values.MAX_OBJECT_BYTES, "bytes each", "session", "not kept"),
        Limit("Errors of the session itself", merging.MAX_ERRORS, "errors", "session", "not kept"),
        Limit("Models, tools and types by name", merging.MAX_NAMES, "names each", "session", "counted as other"),
        Limit("Sessions", mapping.MAX_SESSIONS, "sessions", "page"),
        Limit("Events", mapping.MAX_EVENTS, "events", "page"),
        Limit("Contents", records.MAX_PAGE_BYTES, "bytes", "page", "the page ends early"),
        Limit("Spans and events that wait to be written", settings.waiting_mb, "MiB", "tenant", "429"),
        Limit("Inference servers", MAX_SERVERS, "servers", "project", "400 too_many_servers"),
        Limit("Alert rules", MAX_RULES, "rules", "project", "400 too_many_rules"),
        Limit("Channels", MAX_CHANNELS, "channels", "alert rule", "400"),
        Limit("Recipients", MAX_RECIPIENTS, "addresses", "channel", "400"),
        Limit("Notes", MAX_INCIDENT_NOTES, "notes", "incident", "400 too_many_notes"),
    )
