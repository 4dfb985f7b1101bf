"""The process that attacks: `python -m tests.load.attacks.attacker NAME SECONDS`, with the target in `ATTACK_TARGET`.

It prints `attacking` when it has begun, and at the end how it was answered.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict

from tests.load.attacks import auth, edge, guardrails, inference, rag, servers, vector
from tests.load.attacks.attack import Attack, Target

ATTACKS = [
    *edge.ATTACKS,
    *auth.ATTACKS,
    *inference.ATTACKS,
    *guardrails.ATTACKS,
    *vector.ATTACKS,
    *rag.ATTACKS,
    *servers.ATTACKS,
]
_TARGET = "ATTACK_TARGET"  # a variable, as arguments are open to everybody on the machine
_TRIES_SECONDS = 0.1


async def start(attack: Attack, target: Target, seconds: float) -> asyncio.subprocess.Process:
    """Attack from a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.load.attacks.attacker", attack.name, str(seconds)),
        env={**os.environ, _TARGET: json.dumps(asdict(target))},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


async def strike(attack: Attack, target: Target, seconds: float) -> Counter[str]:
    """Attack from this process."""
    seen: Counter[str] = Counter()

    async def repeat() -> None:
        while True:
            try:
                await attack.strike(target, seen)
            except (OSError, asyncio.IncompleteReadError) as error:
                seen[type(error).__name__] += 1
                await asyncio.sleep(_TRIES_SECONDS)

    print("attacking", flush=True)
    task = asyncio.gather(*(repeat() for _ in range(attack.workers)))
    with suppress(TimeoutError):
        await asyncio.wait_for(task, seconds)
    return seen


def main() -> None:
    name, seconds = sys.argv[1:]
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    began = time.monotonic()
    seen = asyncio.run(strike(attack, Target(**json.loads(os.environ[_TARGET])), float(seconds)))
    answers = ", ".join(f"{count:,} x {text}" for text, count in seen.most_common(3))
    print(f"{answers or 'no answers'} in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
