"""A canonical request as a model's settings want it."""

from services.inference.domain.codecs.codec import TargetModel
from services.inference.domain.json_values import NotJson, encode
from services.inference.domain.pipeline.exchange import Body
from services.inference.domain.pipeline.requests import REQUEST_ID, too_deep


def shaped(request: Body, model: TargetModel) -> tuple[Body, tuple[str, ...]]:
    """A copy of the request with the model's settings and its name at the provider, and the fields left out because the
    model rejects them."""
    sent = {**request, "model": model.model_id}
    for name, value in model.defaults:
        sent.setdefault(name, value)
    if model.extra:
        sent.update(model.extra)
    sent.pop(REQUEST_ID, None)
    if not model.unsupported:
        return sent, ()
    dropped = tuple(name for name in model.unsupported if name in sent)
    for name in dropped:
        del sent[name]
    return sent, dropped


def written(request: Body) -> bytes:
    """The request as JSON. Raises InvalidInput for what can be read but not written: nesting beyond 254 levels."""
    try:
        return encode(request)
    except NotJson:
        raise too_deep() from None
