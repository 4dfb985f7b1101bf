"""PiiService."""

from core import context as request_context
from core.errors import InvalidInput
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.inference.v1 import pii_service_pb2 as pb
from portico.inference.v1.pii_service_pb2_grpc import PiiServiceServicer
from services.inference import mapping_guardrails as mapping
from services.inference.domain.guardrails.findings import REDACT
from services.inference.domain.guardrails.pii_policies import DETECT, MASK, TOKENIZE, PiiPolicies


class PiiServicer(PiiServiceServicer):
    """The servicer of PiiService."""

    def __init__(self, policies: PiiPolicies) -> None:
        self._policies = policies

    async def DetectPii(self, request: pb.ScanPiiRequest, context: CallContext) -> pb.ScanPiiResponse:
        return await self._scan(request, DETECT)

    async def RedactPii(self, request: pb.ScanPiiRequest, context: CallContext) -> pb.ScanPiiResponse:
        return await self._scan(request, REDACT)

    async def MaskPii(self, request: pb.ScanPiiRequest, context: CallContext) -> pb.ScanPiiResponse:
        return await self._scan(request, MASK)

    async def TokenizePii(self, request: pb.ScanPiiRequest, context: CallContext) -> pb.ScanPiiResponse:
        return await self._scan(request, TOKENIZE)

    async def ScanPii(self, request: pb.ScanPiiRequest, context: CallContext) -> pb.ScanPiiResponse:
        return await self._scan(request, request.action)

    async def DetokenizePii(self, request: pb.DetokenizePiiRequest, context: CallContext) -> pb.DetokenizePiiResponse:
        project = request_context.identity().project
        text = await self._policies.detokenize(project, request.text, mapping.vault_of(request))
        return pb.DetokenizePiiResponse(output_text=text)

    async def ListPiiPolicies(
        self, request: pb.ListPiiPoliciesRequest, context: CallContext
    ) -> pb.ListPiiPoliciesResponse:
        records, token = await self._policies.list(
            request_context.identity().project, size=request.page_size, token=request.page_token
        )
        messages = await in_turns(mapping.policy_message, records)
        return pb.ListPiiPoliciesResponse(policies=messages, next_page_token=token)

    async def GetPiiPolicy(self, request: pb.GetPiiPolicyRequest, context: CallContext) -> pb.GetPiiPolicyResponse:
        record = await self._policies.get(request_context.identity().project, request.key)
        return pb.GetPiiPolicyResponse(policy=mapping.policy_message(record))

    async def CreatePiiPolicy(
        self, request: pb.CreatePiiPolicyRequest, context: CallContext
    ) -> pb.CreatePiiPolicyResponse:
        record = await self._policies.create(request_context.identity().project, mapping.new_policy(request))
        return pb.CreatePiiPolicyResponse(policy=mapping.policy_message(record))

    async def UpdatePiiPolicy(
        self, request: pb.UpdatePiiPolicyRequest, context: CallContext
    ) -> pb.UpdatePiiPolicyResponse:
        changes = mapping.policy_changes(request)
        record = await self._policies.update(request_context.identity().project, request.key, changes)
        return pb.UpdatePiiPolicyResponse(policy=mapping.policy_message(record))

    async def DeletePiiPolicy(
        self, request: pb.DeletePiiPolicyRequest, context: CallContext
    ) -> pb.DeletePiiPolicyResponse:
        await self._policies.delete(request_context.identity().project, request.key)
        return pb.DeletePiiPolicyResponse(success=True)

    async def _scan(self, request: pb.ScanPiiRequest, action: str) -> pb.ScanPiiResponse:
        if not request.policy_key:
            raise InvalidInput("policy_key must name a PII policy.", field="policy_key")
        project = request_context.identity().project
        return mapping.scan_message(await self._policies.scan(project, request.policy_key, request.text, action))
