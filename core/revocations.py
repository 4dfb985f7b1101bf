"""Tokens that are refused before they expire, in memory.

A suspended tenant's tokens are all refused until it is resumed, and those of an erased one for good, by one cut-off.

Tokens that can be revoked together form a group: the API tokens of a tenant, the sessions of each of its users, and the
service tokens of each of its projects. A group's state is a cut-off (every token issued before it is revoked, but for a
list of kept ones) and single tokens revoked since. A later cut-off replaces the single revocations that it covers, so
that no number of revocations makes the state of a tenant grow without bound.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf

from core.context import Identity, Kind


@dataclass(frozen=True, slots=True)
class Revocation:
    """One token, by `token_id`, or without one the cut-off of a group. Times are Unix seconds.

    The group is the sessions of the user `subject`, the service tokens of the project `subject`, or with `api` the
    tenant's API tokens. A token with neither is of no group: it is not known what it is. With `everything` the cut-off
    is of all tokens of the tenant; `suspended` tells whether the tenant is suspended since `issued_before`.
    """

    tenant: str
    token_id: str = ""
    subject: str = ""
    api: bool = False
    issued_at: float = inf
    """Time at which the token was issued, or a later one; infinite where that is not known."""
    issued_before: float = 0.0
    """The cut-off: all tokens issued before it are revoked."""
    kept: tuple[str, ...] = ()
    """Ids of tokens from before the cut-off that it does not revoke."""
    expires_at: float = 0.0
    """Time at which everything revoked has expired by itself; 0: never."""
    everything: bool = False
    suspended: bool | None = None


class _Group:
    """The revoked tokens of one group. `tokens` maps an id to when the token was issued and when it expires."""

    __slots__ = ("before", "expires_at", "kept", "tokens")

    def __init__(self) -> None:
        self.before = 0.0
        self.expires_at = 0.0
        self.kept: frozenset[str] = frozenset()
        self.tokens: dict[str, tuple[float, float]] = {}

    def holds(self, token_id: str, issued_at: float) -> bool:
        return token_id in self.tokens or (issued_at < self.before and token_id not in self.kept)

    def revoke(self, token_id: str, issued_at: float, expires_at: float) -> bool:
        """Revoke a token. Returns whether it was not revoked before."""
        if self.holds(token_id, issued_at):
            return False
        self.tokens[token_id] = issued_at, expires_at
        return True

    def cut_off(self, before: float, kept: Iterable[str], expires_at: float) -> bool:
        """Set the cut-off of the group. Returns whether it changed: an earlier one is ignored."""
        if before <= self.before:
            return False
        self.before, self.kept, self.expires_at = before, frozenset(kept), expires_at
        # A kept token that has been revoked since the list was made stays revoked.
        self.tokens = {id: token for id, token in self.tokens.items() if token[0] >= before or id in self.kept}
        return True

    def prune(self, now: float) -> bool:
        """Remove expired tokens. Returns whether anything is left."""
        self.tokens = {id: token for id, token in self.tokens.items() if not 0 < token[1] < now}
        if 0 < self.expires_at < now:
            self.before, self.kept, self.expires_at = 0.0, frozenset(), 0.0
        return bool(self.tokens or self.before)


_API_TOKENS = ""
"""The key of the group of API tokens, where that of sessions is their user's id and that of service tokens their
project's; ids of records are random, so no two are alike."""


def _group_of(identity: Identity) -> str:
    match identity.kind:
        case Kind.API:
            return _API_TOKENS
        case Kind.SERVICE:
            return identity.project.id
        case Kind.SESSION:
            return identity.subject


class _Tenant:
    """The revocations of one tenant: by group, by token id those of no known group, and what concerns all tokens."""

    __slots__ = ("before", "changed_at", "groups", "others", "resumed_until", "suspended")

    def __init__(self) -> None:
        self.groups: dict[str, _Group] = {}
        self.others: dict[str, float] = {}
        self.before = 0.0
        """The cut-off of all tokens."""
        self.suspended = False
        self.changed_at = 0.0
        """Time since which it is suspended, or not any more."""
        self.resumed_until = 0.0
        """Time until which it is remembered that the tenant was resumed; 0: it was not."""

    def add(self, revocation: Revocation) -> bool:
        """Add a revocation. Returns whether it changed anything."""
        if revocation.suspended is not None:
            return self._suspend(revocation.suspended, revocation.issued_before, revocation.expires_at)
        if revocation.everything:
            changed, self.before = revocation.issued_before > self.before, max(self.before, revocation.issued_before)
            return changed
        if not revocation.subject and not revocation.api:
            if not revocation.token_id or revocation.token_id in self.others:
                return False
            self.others[revocation.token_id] = revocation.expires_at
            return True
        group = self.groups.setdefault(revocation.subject or _API_TOKENS, _Group())
        if revocation.token_id:
            return group.revoke(revocation.token_id, revocation.issued_at, revocation.expires_at)
        return group.cut_off(revocation.issued_before, revocation.kept, revocation.expires_at)

    def _suspend(self, suspended: bool, changed_at: float, expires_at: float) -> bool:
        if changed_at <= self.changed_at:
            return False
        self.suspended, self.changed_at, self.resumed_until = suspended, changed_at, expires_at
        return True

    def holds(self, identity: Identity) -> bool:
        if self.suspended or identity.issued_at < self.before or identity.token_id in self.others:
            return True
        group = self.groups.get(_group_of(identity))
        return group is not None and group.holds(identity.token_id, identity.issued_at)

    def prune(self, now: float) -> bool:
        """Remove expired tokens. Returns whether anything is left."""
        self.others = {id: end for id, end in self.others.items() if not 0 < end < now}
        self.groups = {key: group for key, group in self.groups.items() if group.prune(now)}
        if 0 < self.resumed_until < now:
            self.changed_at = self.resumed_until = 0.0
        return bool(self.others or self.groups or self.before or self.changed_at)


class Revocations:
    """The revocations in force. Not `known` until first replaced: before that no token can be verified."""

    def __init__(self) -> None:
        self.known = False
        self._tenants: dict[str, _Tenant] = {}

    def replace(self, revocations: Iterable[Revocation]) -> None:
        staged = Revocations()
        staged.add(revocations)
        self.adopt(staged)

    def adopt(self, other: "Revocations") -> None:
        """Hold what `other` holds instead of what was held so far. `other` must not be used any more."""
        self._tenants = other._tenants
        self.known = True

    def add(self, revocations: Iterable[Revocation]) -> list[Revocation]:
        """Add revocations. Returns those that changed something."""
        return [each for each in revocations if self._tenants.setdefault(each.tenant, _Tenant()).add(each)]

    def is_revoked(self, identity: Identity) -> bool:
        tenant = self._tenants.get(identity.project.tenant.slug)
        return tenant is not None and tenant.holds(identity)

    def is_suspended(self, tenant: str) -> bool:
        held = self._tenants.get(tenant)
        return held is not None and held.suspended

    def prune(self, now: float) -> None:
        """Remove revocations that concern only expired tokens."""
        self._tenants = {slug: tenant for slug, tenant in self._tenants.items() if tenant.prune(now)}

    @property
    def tenants(self) -> tuple[str, ...]:
        """Slugs of the tenants that have revocations."""
        return tuple(self._tenants)

    def of(self, tenant: str) -> list[Revocation]:
        """All of one tenant, cut-offs before the tokens revoked since."""
        held = self._tenants.get(tenant)
        if held is None:
            return []
        others = [Revocation(tenant, token_id=id, expires_at=end) for id, end in held.others.items()]
        if held.before:
            others.append(Revocation(tenant, everything=True, issued_before=held.before))
        if held.changed_at:
            changed = Revocation(
                tenant, suspended=held.suspended, issued_before=held.changed_at, expires_at=held.resumed_until
            )
            others.append(changed)
        return others + [each for key, group in held.groups.items() for each in _of_group(tenant, key, group)]

    def revoked_api_tokens(self) -> Mapping[str, int]:
        """Count the API tokens that are revoked one by one, by tenant."""
        counts = {slug: tenant.groups.get(_API_TOKENS) for slug, tenant in self._tenants.items()}
        return {slug: len(group.tokens) for slug, group in counts.items() if group is not None}

    @property
    def size(self) -> int:
        """Number of tokens, cut-offs and kept tokens that are held."""
        return sum(
            len(tenant.others)
            + sum(bool(group.before) + len(group.tokens) + len(group.kept) for group in tenant.groups.values())
            for tenant in self._tenants.values()
        )


def _of_group(tenant: str, key: str, group: _Group) -> Iterator[Revocation]:
    api = key == _API_TOKENS
    if group.before:
        yield Revocation(
            tenant,
            subject=key,
            api=api,
            issued_before=group.before,
            kept=tuple(group.kept),
            expires_at=group.expires_at,
        )
    for id, (issued_at, expires_at) in group.tokens.items():
        yield Revocation(tenant, id, key, api, issued_at=issued_at, expires_at=expires_at)
