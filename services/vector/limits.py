"""The limits on requests to vector, from the constants and settings that enforce them."""

from core.limits import Limit
from services.vector import mapping_json
from services.vector.domain import filters, points, vectors
from services.vector.settings import Settings


def limits(settings: Settings) -> tuple[Limit, ...]:
    return (
        Limit("Dimension", points.MAX_DIMENSION, "numbers", "index"),
        Limit("vectors", points.MAX_POINTS, "points", "upsert"),
        Limit("id", points.MAX_ID, "characters", "point"),
        Limit("metadata", points.MAX_METADATA_BYTES, "bytes of JSON", "point"),
        Limit("text", points.MAX_TEXT, "characters", "point or query"),
        Limit("ids", points.MAX_POINTS, "ids", "deletion"),
        Limit("ids", vectors.MAX_FETCH, "ids", "fetch"),
        Limit("topK", points.MAX_TOP_K, "points", "query"),
        Limit("JSON body of all but upserts", mapping_json.MAX_BODY_BYTES, "bytes", "request", "413"),
        Limit("JSON", filters.MAX_FILTER_BYTES, "bytes", "filter"),
        Limit("Depth", filters.MAX_DEPTH, "levels", "filter"),
        Limit("Clauses", filters.MAX_CLAUSES, "clauses", "filter"),
        Limit("Values of one $in or $nin", filters.MAX_VALUES, "values", "filter"),
        Limit("Values of all $in and $nin together", filters.MAX_ALL_VALUES, "values", "filter"),
        Limit("Numbers of all vectors", points.MAX_ANSWER_NUMBERS, "numbers", "answer"),
        Limit("Metadata and texts of all points", points.MAX_ANSWER_METADATA_BYTES, "bytes of JSON", "answer"),
        Limit("Migrations at a time", settings.jobs, "migrations", "process", "they wait"),
    )
