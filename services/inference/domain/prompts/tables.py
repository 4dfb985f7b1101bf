"""The tables of prompts."""

from core.storage.ports import INTEGER, JSON, TEXT, TIME, Collection, Level

PROMPTS = Collection(
    "prompts",
    Level.PROJECT,
    {
        "key": TEXT,
        "createdAt": TIME,
        "revision": INTEGER,
        "closing": TEXT,
        "current": JSON,
        "deployments": JSON,
        "history": JSON,
    },
    unique=(("key",),),
    indexes=(("createdAt",),),
)
PROMPT_VERSIONS = Collection(
    "prompt_versions",
    Level.PROJECT,
    {"promptId": TEXT, "number": INTEGER, "createdAt": TIME, "metadata": JSON},
    unique=(("promptId", "number"),),
)
PROMPT_COMMENTS = Collection(
    "prompt_comments",
    Level.PROJECT,
    {"promptId": TEXT, "versionId": TEXT, "createdAt": TIME},
    indexes=(("promptId", "createdAt"),),
)

COLLECTIONS = (PROMPTS, PROMPT_VERSIONS, PROMPT_COMMENTS)
