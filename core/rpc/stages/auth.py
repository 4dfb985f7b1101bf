"""Authentication and authorization of a call by its metadata."""

import hmac

from core.config import Secret
from core.context import Identity, RequestContext
from core.errors import PermissionDenied, Unauthenticated
from core.permissions import allows
from core.rpc.call import RpcCall
from core.rpc.headers import SERVICE_SECRET
from core.rpc.stages.stage import Outcome
from core.token_verifier import TokenVerifier

_BEARER = "Bearer "


class Auth:
    """Verifies who calls and whether the RPC's rule lets them: permission comes before existence."""

    def __init__(self, verifier: TokenVerifier, service_secret: Secret) -> None:
        self._verifier = verifier
        self._secret = service_secret.reveal().encode()

    def begin(self, call: RpcCall) -> None:
        policy = call.policy
        if policy.public:
            return
        if policy.internal:
            if not hmac.compare_digest(call.header(SERVICE_SECRET).encode(), self._secret):
                raise Unauthenticated("This call is for Portico's own services.")
            return
        identity = self._identify(call)
        if policy.scope and not allows(identity.scopes, policy.scope):
            raise PermissionDenied(
                f"The token lacks the scope {policy.scope}.", reason="MISSING_SCOPE", metadata={"scope": policy.scope}
            )

    def _identify(self, call: RpcCall) -> Identity:
        authorization = call.header("authorization")
        if not authorization.startswith(_BEARER):
            raise Unauthenticated(
                "No token. Send one as 'Authorization: Bearer ptc_...'; POST /v1/tokens makes one.", reason="NO_TOKEN"
            )
        token = authorization[len(_BEARER) :]
        identity = self._verifier.verify(token)
        old = call.request
        call.bind(RequestContext(old.request_id, identity, token, old.peer_address, old.user_agent, old.deadline))
        return identity

    def end(self, call: RpcCall, outcome: Outcome) -> None:
        pass
