"""The response header that tells how the target of a call was chosen."""

from urllib.parse import quote

from services.inference.domain.usage.calls import Decision, ModelCall


def route_header(call: ModelCall) -> str:
    """`name=value` pairs, values percent-encoded: `provider`, `attempts`, `policy` and `reason`; for a dynamic model
    also `model`, `decision` and `label`."""
    decision = call.decision or Decision()
    pairs = {
        "provider": "" if call.target is None else call.target.provider_key,
        "attempts": str(call.attempts),
        "policy": decision.policy,
        "reason": decision.reason,
    }
    if decision.dynamic:
        last = decision.dynamic[-1]
        pairs |= {"model": last.chosen_key, "decision": last.decision, "label": last.label}
    return "; ".join(f"{name}={quote(value, safe=' ,:/')}" for name, value in pairs.items() if value)
