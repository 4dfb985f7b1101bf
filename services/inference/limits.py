"""The limits on requests to inference, from the constants and settings that enforce them."""

from core import json_shape
from core.limits import Limit
from core.storage.checks import MAX_TOTALS
from services.inference.adapters.local import limits as local_texts
from services.inference.domain.catalogue.dynamic_settings import MAX_CONDITIONS, MAX_LABELS, MAX_RULES
from services.inference.domain.catalogue.model_settings import MAX_PARAMS
from services.inference.domain.catalogue.routing_settings import MAX_TARGETS
from services.inference.domain.echo import answers as echo
from services.inference.domain.guardrails import (
    evaluations,
    evaluator,
    judges,
    pii_policies,
    regexes,
    store,
    word_lists_store,
    words,
)
from services.inference.domain.memory import step as chat_memory
from services.inference.domain.pipeline import requests
from services.inference.domain.prompts import comments, deployments, parsing, prompts, records, templates
from services.inference.domain.rerank import judges as rerank_judges
from services.inference.domain.rerank import records as rerank_records
from services.inference.domain.usage import calls, overview, periods, rollups, spend
from services.inference.servicers.models import MAX_INCLUDED_BYTES
from services.inference.settings import Settings

_OTHER = f"further ones count as {rollups.OTHER}"


def limits(settings: Settings) -> tuple[Limit, ...]:
    large = f"JSON body of more than {requests.LARGE_BODY_BYTES // 1024} KiB"
    return (
        Limit("Members, objects and lists", json_shape.DEFAULT.nodes, "values", large),
        Limit("Entries of lists and objects", json_shape.DEFAULT.entries, "values", large),
        Limit("messages", requests.MAX_MESSAGES, "messages", "chat"),
        Limit("Content parts of all messages", requests.MAX_PARTS, "parts", "chat"),
        Limit("tools", requests.MAX_TOOLS, "tools", "chat"),
        Limit("stop", requests.MAX_STOPS, "texts", "chat"),
        Limit("input", requests.MAX_INPUTS, "inputs", "embedding call"),
        Limit("documents", requests.MAX_DOCUMENTS, "documents", "rerank call"),
        Limit("query", requests.MAX_QUERY, "characters", "rerank call"),
        Limit("A document", requests.MAX_DOCUMENT, "characters", "rerank call"),
        Limit("documents", rerank_judges.MAX_JUDGED, "documents", "rerank call of a judge"),
        Limit("A document that a judge sees", rerank_judges.MAX_SHOWN, "characters", "judge", "the beginning of it"),
        Limit("config.promptTemplate", rerank_records.MAX_TEMPLATE, "characters", "reranker"),
        Limit("Texts for a local model", local_texts.MAX_CHARACTERS, "characters", "embedding or rerank call"),
        Limit("Texts that wait for local models", settings.local_queue_characters, "characters", "process", "429"),
        Limit("settings.unsupportedParams", MAX_PARAMS, "names", "model"),
        Limit("settings.routing.targets", MAX_TARGETS, "targets", "model"),
        Limit("settings.dynamic.rules", MAX_RULES, "rules", "dynamic model"),
        Limit("settings.dynamic.rules.conditions", MAX_CONDITIONS, "conditions", "rule of a dynamic model"),
        Limit("settings.dynamic.decider.labels", MAX_LABELS, "labels", "dynamic model"),
        Limit("Providers beside models (includeProviders)", MAX_INCLUDED_BYTES, "bytes", "page"),
        Limit("policy", store.MAX_POLICY_BYTES, "bytes of JSON", "guardrail"),
        Limit("policy.wordFilter.words", store.MAX_INLINE_WORDS, "words", "guardrail"),
        Limit("policy.wordFilter.customListKeys", store.MAX_LISTS, "lists", "guardrail"),
        Limit("policy.wordFilter.regexes, customPatterns", regexes.MAX_PATTERNS, "patterns", "guardrail, PII policy"),
        Limit("A pattern", regexes.MAX_PATTERN, "characters", "guardrail, PII policy"),
        Limit("words", words.MAX_WORDS, "words", "word list"),
        Limit("A word", words.MAX_WORD, "characters", "word list"),
        Limit("All words", word_lists_store.MAX_BYTES // 2**20, "MiB", "word list"),
        Limit("text, input", evaluator.MAX_CHARACTERS, "characters", "evaluation, moderation"),
        Limit("input", evaluator.MAX_INPUTS, "texts", "moderation"),
        Limit("text", pii_policies.MAX_TEXT, "characters", "PII call"),
        Limit("A text that is judged", judges.MAX_JUDGED, "characters", "judge", "no verdict: as `failMode` says"),
        Limit("A part of it that a judge sees at a time", judges.MAX_SHOWN, "characters", "judge", "several questions"),
        Limit("Time between from and to", evaluations.MAX_SPAN_DAYS, "days", "guardrail statistics"),
        Limit("template", parsing.MAX_CHARACTERS, "characters", "version of a prompt"),
        Limit("Tags of a template", parsing.MAX_TAGS, "tags", "version of a prompt"),
        Limit("Sections of a template inside each other", parsing.MAX_DEPTH, "sections", "version of a prompt"),
        Limit("Name in a template", parsing.MAX_NAME, "characters", "tag"),
        Limit("Rendered template", templates.MAX_OUTPUT, "characters", "rendering"),
        Limit(
            "Texts, turns of sections, and contexts that names are looked up in",
            templates.MAX_STEPS,
            "steps",
            "rendering",
        ),
        Limit("Templates of a list", prompts.MAX_PAGE_CHARACTERS, "characters", "page", "a page of fewer entries"),
        Limit("note", deployments.MAX_NOTE, "characters", "deployment of a prompt"),
        Limit("Deployment history", records.MAX_HISTORY, "events", "prompt", "the latest of them"),
        Limit("content", comments.MAX_COMMENT, "characters", "comment on a prompt"),
        Limit("Comments beside a comparison", comments.COMPARED, "comments", "comparison", "the latest of them"),
        Limit("Question that memories are searched with", chat_memory.MAX_QUERY, "characters", "chat", "its last ones"),
        Limit(
            "Question, and answer, that are remembered", chat_memory.MAX_STORED, "characters", "chat", "they are cut"
        ),
        Limit("Time for memories", settings.memory.recall_seconds, "seconds", "chat", "the chat goes on without"),
        Limit("Time between from and to", periods.MAX_SPAN_DAYS, "days", "report of usage or spend"),
        Limit("Time between from and to", periods.MAX_HOURLY_DAYS, "days", "report by hour"),
        Limit("top", overview.MAX_TOP, "entries", "list of a usage overview"),
        Limit("by_entity", spend.MAX_ENTITIES, "entities", "spend report", "the costliest of them"),
        Limit("metadata that is recorded", calls.MAX_TAGS, "tags", "call to a model", "the first of them"),
        Limit("A tag's name", calls.MAX_TAG_KEY, "characters", "call to a model", "the tag is not recorded"),
        Limit("A tag's value", calls.MAX_TAG_VALUE, "characters", "call to a model", "it is cut"),
        Limit("Agents that reports tell apart", rollups.MAX_AGENTS, "agents", "project and day", _OTHER),
        Limit("Tags that reports tell apart", rollups.MAX_TAG_KEYS, "tags", "project and day", _OTHER),
        Limit("Values of a tag that reports tell apart", rollups.MAX_TAG_VALUES, "values", "project and day", _OTHER),
        Limit("Unknown models told apart", rollups.MAX_UNKNOWN_MODELS, "models", "project and day", _OTHER),
        Limit("Rows", MAX_TOTALS, "rows", "usage report", "the first of them; totals are over everything"),
        Limit("A provider's answer", settings.provider_max_response_mb, "MiB", "call", "502"),
        Limit("Driver echo: words read", echo.MAX_WORDS_READ, "words", "chat"),
        Limit("Driver echo: words of all choices", echo.MAX_WORDS_WRITTEN, "words", "chat"),
        Limit("Driver echo: characters of all choices", echo.MAX_CHARACTERS_WRITTEN, "characters", "chat"),
        Limit("Driver echo: n", echo.MAX_CHOICES, "choices", "chat"),
        Limit("Driver echo: stop", echo.MAX_STOPS, "texts", "chat"),
        Limit("Driver echo: dimensions", echo.MAX_DIMENSIONS, "numbers", "embedding call"),
        Limit("Driver echo: inputs times dimensions", echo.MAX_NUMBERS, "numbers", "embedding call"),
        Limit("Driver echo: characters of all inputs", echo.MAX_CHARACTERS_EMBEDDED, "characters", "embedding call"),
    )
