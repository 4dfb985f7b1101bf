"""GuardrailService."""

from core import context as request_context
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.inference.v1 import guardrail_service_pb2 as pb
from portico.inference.v1.guardrail_service_pb2_grpc import GuardrailServiceServicer
from services.inference import mapping_guardrails as mapping
from services.inference.domain.guardrails.evaluations import EvaluationLog
from services.inference.domain.guardrails.evaluator import Evaluator
from services.inference.domain.guardrails.records import WordListChanges
from services.inference.domain.guardrails.store import Guardrails
from services.inference.domain.guardrails.word_lists_store import WordLists
from services.inference.domain.guardrails.words import BUILT_IN


class GuardrailServicer(GuardrailServiceServicer):
    """The servicer of GuardrailService."""

    def __init__(self, guardrails: Guardrails, word_lists: WordLists, evaluator: Evaluator, log: EvaluationLog) -> None:
        self._guardrails = guardrails
        self._word_lists = word_lists
        self._evaluator = evaluator
        self._log = log

    async def ListGuardrails(
        self, request: pb.ListGuardrailsRequest, context: CallContext
    ) -> pb.ListGuardrailsResponse:
        records, token = await self._guardrails.list(
            request_context.identity().project,
            type=request.type,
            enabled=request.enabled if request.HasField("enabled") else None,
            size=request.page_size,
            token=request.page_token,
        )
        messages = await in_turns(mapping.guardrail_message, records)
        return pb.ListGuardrailsResponse(guardrails=messages, next_page_token=token)

    async def GetGuardrail(self, request: pb.GetGuardrailRequest, context: CallContext) -> pb.GetGuardrailResponse:
        record = await self._guardrails.get(request_context.identity().project, request.key)
        return pb.GetGuardrailResponse(guardrail=mapping.guardrail_message(record))

    async def CreateGuardrail(
        self, request: pb.CreateGuardrailRequest, context: CallContext
    ) -> pb.CreateGuardrailResponse:
        record = await self._guardrails.create(request_context.identity().project, mapping.new_guardrail(request))
        return pb.CreateGuardrailResponse(guardrail=mapping.guardrail_message(record))

    async def UpdateGuardrail(
        self, request: pb.UpdateGuardrailRequest, context: CallContext
    ) -> pb.UpdateGuardrailResponse:
        changes = mapping.guardrail_changes(request)
        record = await self._guardrails.update(request_context.identity().project, request.key, changes)
        return pb.UpdateGuardrailResponse(guardrail=mapping.guardrail_message(record))

    async def DeleteGuardrail(
        self, request: pb.DeleteGuardrailRequest, context: CallContext
    ) -> pb.DeleteGuardrailResponse:
        await self._guardrails.delete(request_context.identity().project, request.key)
        return pb.DeleteGuardrailResponse(success=True)

    async def EvaluateGuardrail(
        self, request: pb.EvaluateGuardrailRequest, context: CallContext
    ) -> pb.EvaluateGuardrailResponse:
        project = request_context.identity().project
        evaluated = await self._evaluator.evaluate(project, request.guardrail_key, request.text, request.target)
        return mapping.evaluated_message(evaluated)

    async def ModerateTexts(self, request: pb.ModerateTextsRequest, context: CallContext) -> pb.ModerateTextsResponse:
        texts = mapping.moderation_texts(request.input)
        id, record, results = await self._evaluator.moderate(request_context.identity().project, texts, request.model)
        return pb.ModerateTextsResponse(id=id, model=record.key, results=map(mapping.moderated_message, results))

    async def ListGuardrailEvaluations(
        self, request: pb.ListGuardrailEvaluationsRequest, context: CallContext
    ) -> pb.ListGuardrailEvaluationsResponse:
        project = request_context.identity().project
        await self._guardrails.get(project, request.key)
        records, token = await self._log.list(
            project,
            request.key,
            passed=request.passed if request.HasField("passed") else None,
            size=request.page_size,
            token=request.page_token,
        )
        messages = await in_turns(mapping.evaluation_message, records)
        return pb.ListGuardrailEvaluationsResponse(logs=messages, next_page_token=token)

    async def GetGuardrailStatistics(
        self, request: pb.GetGuardrailStatisticsRequest, context: CallContext
    ) -> pb.GetGuardrailStatisticsResponse:
        project = request_context.identity().project
        await self._guardrails.get(project, request.key)
        statistics = await self._log.statistics(project, request.key, *mapping.span_of(request))
        return mapping.statistics_message(statistics)

    async def ListWordLists(self, request: pb.ListWordListsRequest, context: CallContext) -> pb.ListWordListsResponse:
        records, token = await self._word_lists.list(
            request_context.identity().project, size=request.page_size, token=request.page_token
        )
        messages = await in_turns(lambda each: mapping.word_list_message(each, with_words=False), records)
        return pb.ListWordListsResponse(word_lists=messages, builtin_lists=BUILT_IN, next_page_token=token)

    async def GetWordList(self, request: pb.GetWordListRequest, context: CallContext) -> pb.GetWordListResponse:
        record = await self._word_lists.get(request_context.identity().project, request.key)
        return pb.GetWordListResponse(word_list=mapping.word_list_message(record, with_words=True))

    async def CreateWordList(
        self, request: pb.CreateWordListRequest, context: CallContext
    ) -> pb.CreateWordListResponse:
        record = await self._word_lists.create(request_context.identity().project, mapping.new_word_list(request))
        return pb.CreateWordListResponse(word_list=mapping.word_list_message(record, with_words=True))

    async def UpdateWordList(
        self, request: pb.UpdateWordListRequest, context: CallContext
    ) -> pb.UpdateWordListResponse:
        changes = mapping.word_list_changes(request)
        record = await self._word_lists.update(request_context.identity().project, request.key, changes)
        return pb.UpdateWordListResponse(word_list=mapping.word_list_message(record, with_words=True))

    async def UploadWordList(
        self, request: pb.UploadWordListRequest, context: CallContext
    ) -> pb.UploadWordListResponse:
        changes = WordListChanges(words=mapping.uploaded_words(request.body.data))
        record = await self._word_lists.update(request_context.identity().project, request.key, changes)
        return pb.UploadWordListResponse(word_list=mapping.word_list_message(record, with_words=False))

    async def DeleteWordList(
        self, request: pb.DeleteWordListRequest, context: CallContext
    ) -> pb.DeleteWordListResponse:
        await self._word_lists.delete(request_context.identity().project, request.key)
        return pb.DeleteWordListResponse(success=True)
