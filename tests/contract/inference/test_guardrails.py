"""Guardrails and PII policies at models: what passes, what does not, and what stands in the logs."""

import json
from typing import Any

import grpc
import pytest

from portico.inference.v1 import guardrail_service_pb2 as pb
from portico.inference.v1 import inference_service_pb2, model_service_pb2, pii_service_pb2
from tests.support import fake_provider as fake
from tests.support.fake_provider import FakeProvider
from tests.support.inference_harness import Caller, field_of, reason_of, refused, text_of

PII = {"pii": {"enabled": True}}
EMAIL = "john.doe@example.com"
HIDDEN = "[REDACTED:email]"


async def attach(caller: Caller, **keys: Any) -> None:
    request = model_service_pb2.UpdateModelRequest(id="m", **keys)
    await caller.harness.models.UpdateModel(request, metadata=caller.metadata)


def sent(provider: FakeProvider) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = provider.bodies[-1]["messages"]
    return messages


class TestInput:
    async def test_every_message_is_redacted_and_the_rest_stays(self, caller: Caller, provider: FakeProvider) -> None:
        """Once only the latest user message was checked, and a redacted one lost its images."""
        await caller.guardrail(PII, action="redact")
        await attach(caller, input_guardrail_key="g")
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        call = {
            "id": "c1",
            "type": "function",
            "function": {"name": "mail", "arguments": json.dumps({"to": EMAIL, "n": 1})},
        }
        messages = [
            {"role": "system", "content": f"You are {EMAIL}"},
            {"role": "user", "content": [{"type": "text", "text": f"Ask {EMAIL}"}, image]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": f"sent to {EMAIL}"},
            {"role": "user", "content": "thanks"},
        ]
        await caller.post_chat({"model": "m", "messages": messages})
        assert EMAIL not in json.dumps(sent(provider))
        assert sent(provider)[1]["content"] == [{"type": "text", "text": f"Ask {HIDDEN}"}, image]
        arguments = sent(provider)[2]["tool_calls"][0]["function"]["arguments"]
        assert json.loads(arguments) == {"to": HIDDEN, "n": 1}
        assert sent(provider)[3]["content"] == f"sent to {HIDDEN}"
        assert sent(provider)[4] == messages[4]

    @pytest.mark.parametrize("stream", [False, True])
    async def test_what_blocks_is_not_sent(self, caller: Caller, provider: FakeProvider, stream: bool) -> None:
        await caller.guardrail(PII, action="block")
        await attach(caller, input_guardrail_key="g")
        error = await refused(caller.chat(f"I am {EMAIL}", stream=stream))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert reason_of(error) == "GUARDRAIL_BLOCKED"
        assert EMAIL not in str(error.details())
        assert provider.asked == 0
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason) == ("error", "GUARDRAIL_BLOCKED")
        (evaluation,) = await caller.evaluations()
        assert (evaluation.passed, evaluation.target, evaluation.model) == (False, "input", "m")
        assert evaluation.source == ("chat.completions:stream" if stream else "chat.completions")
        assert EMAIL not in str(evaluation)

    async def test_what_is_flagged_is_told(self, caller: Caller, provider: FakeProvider) -> None:
        await caller.guardrail(PII, action="flag")
        await attach(caller, input_guardrail_key="g")
        answer = await caller.chat(f"I am {EMAIL}")
        (finding,) = answer["guardrails"]["input"]["findings"]
        assert (finding["category"], finding["action"], finding["block"]) == ("email", "flag", False)
        assert sent(provider)[0]["content"] == f"I am {EMAIL}"
        assert "guardrails" not in await caller.chat("I am nobody")

    async def test_streams_tell_it_where_they_end(self, caller: Caller, provider: FakeProvider) -> None:
        """Only whole answers told."""
        await caller.guardrail(PII, action="flag")
        await attach(caller, input_guardrail_key="g", output_guardrail_key="g")
        provider.behaviour = fake.streams(["Write", " to ", EMAIL, " now"])
        frames = await caller.stream("I am john@example.com")
        told = [frame["guardrails"] for frame in frames if "guardrails" in frame]
        assert [sorted(each) for each in told] == [["input", "output"]]
        assert [len(each["findings"]) for each in told[0].values()] == [1, 1]
        assert next(frame for frame in frames if "guardrails" in frame)["choices"][0]["finish_reason"] == "stop"
        assert text_of(frames) == f"Write to {EMAIL} now"

    async def test_one_that_is_not_enabled_does_nothing(self, caller: Caller) -> None:
        await caller.guardrail(PII, action="block", enabled=False)
        await attach(caller, input_guardrail_key="g", output_guardrail_key="g")
        await caller.chat(f"I am {EMAIL}")
        assert await caller.evaluations() == []

    async def test_a_change_holds_for_the_next_call(self, caller: Caller) -> None:
        await caller.guardrail(PII, action="flag")
        await attach(caller, input_guardrail_key="g")
        await caller.chat(f"I am {EMAIL}")
        change = pb.UpdateGuardrailRequest(key="g", action="block")
        await caller.harness.guardrails.UpdateGuardrail(change, metadata=caller.metadata)
        await refused(caller.chat(f"I am {EMAIL}"))

    async def test_a_word_of_an_uploaded_list(self, caller: Caller) -> None:
        stub, metadata = caller.harness.guardrails, caller.metadata
        await stub.CreateWordList(pb.CreateWordListRequest(key="rude", name="Rude"), metadata=metadata)
        upload = pb.UploadWordListRequest(key="rude")
        upload.body.data = b"zonk\nblarg blarg\n"
        assert (await stub.UploadWordList(upload, metadata=metadata)).word_list.word_count == 2
        await caller.guardrail({"wordFilter": {"enabled": True, "customListKeys": ["rude"]}}, action="block")
        await attach(caller, input_guardrail_key="g")
        await refused(caller.chat("you Z0NK"))
        error = await refused(stub.DeleteWordList(pb.DeleteWordListRequest(key="rude"), metadata=metadata))
        assert reason_of(error) == "WORD_LIST_IN_USE"
        upload.body.data = b"other"
        await stub.UploadWordList(upload, metadata=metadata)
        await caller.chat("you zonk")


class TestOutput:
    async def test_every_choice_of_a_whole_answer(self, caller: Caller, provider: FakeProvider) -> None:
        await caller.guardrail(PII, action="redact")
        await attach(caller, output_guardrail_key="g")
        choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": f"Ask {EMAIL}!"}}
        provider.behaviour = fake.answers(choices=[{"index": 0, **choice}, {"index": 1, **choice}])
        answer = await caller.chat()
        assert [each["message"]["content"] for each in answer["choices"]] == [f"Ask {HIDDEN}!"] * 2
        assert len(answer["guardrails"]["output"]["findings"]) == 2

    async def test_a_stream_is_redacted_while_it_flows(self, caller: Caller, provider: FakeProvider) -> None:
        await caller.guardrail(PII, action="redact")
        await attach(caller, output_guardrail_key="g")
        provider.behaviour = fake.streams(["Ask jo", "hn.d", "oe@exam", "ple.c", "om, he", " knows."])
        frames = await caller.stream(stream_options={"include_usage": True})
        assert text_of(frames) == f"Ask {HIDDEN}, he knows."
        assert frames[-1]["usage"] == fake.USAGE
        assert frames[-2]["choices"][0]["finish_reason"] == "stop"
        (evaluation,) = await caller.evaluations()
        assert (evaluation.source, evaluation.target) == ("chat.completions:stream", "output")

    async def test_a_stream_is_stopped_before_the_bytes_leave(self, caller: Caller, provider: FakeProvider) -> None:
        """Once streams were looked at when they had ended, and nothing was ever stopped."""
        await caller.guardrail(PII, action="block")
        await attach(caller, output_guardrail_key="g")
        provider.behaviour = fake.streams(["It is jo", "hn.doe@exam", "ple.com", " and", " more"])
        frames = await caller.stream()
        assert text_of(frames) == "It is "
        assert frames[-1]["error"]["type"] == "guardrail_block"
        assert frames[-1]["error"]["guardrail_key"] == "g"
        assert EMAIL not in json.dumps(frames)
        (record,) = await caller.records(1)
        assert (record.status, record.error_reason) == ("error", "GUARDRAIL_BLOCKED")
        assert record.usage.output_tokens > 0, "what the provider said until then costs"

    async def test_a_whole_answer_is_blocked(self, caller: Caller, provider: FakeProvider) -> None:
        await caller.guardrail(PII, action="block")
        await attach(caller, output_guardrail_key="g")
        provider.behaviour = fake.answers(f"Ask {EMAIL}")
        error = await refused(caller.chat())
        assert reason_of(error) == "GUARDRAIL_BLOCKED"
        (record,) = await caller.records(1)
        assert record.usage.output_tokens == fake.USAGE["completion_tokens"]

    async def test_the_typed_calls_are_guarded_alike(self, caller: Caller, provider: FakeProvider) -> None:
        await caller.guardrail(PII, action="redact")
        await attach(caller, output_guardrail_key="g", input_guardrail_key="g")
        provider.behaviour = fake.streams(["Ask john.doe@exam", "ple.com"])
        request = inference_service_pb2.ChatStreamRequest()
        request.chat.model = "m"
        request.chat.messages.add(role="user", content=f"I am {EMAIL}")
        text = ""
        async for message in caller.harness.typed.ChatStream(request, metadata=caller.metadata):
            text += str(message)
        assert "REDACTED:email" in text
        assert EMAIL not in text
        assert sent(provider)[0]["content"] == f"I am {HIDDEN}"


def judging(verdict: Any, answer: str = "Hello!") -> Any:
    """A provider whose model `m` answers and whose model `judge` judges."""
    whole = fake.answers(answer)
    said = fake.answers(verdict if isinstance(verdict, str) else json.dumps(verdict))

    async def behave(provider: FakeProvider, peer: Any, body: dict[str, Any]) -> None:
        await (said if body["model"] == "judge-model" else whole)(provider, peer, body)

    return behave


class TestJudges:
    @pytest.fixture
    async def judged(self, caller: Caller) -> Caller:
        await caller.model(key="judge", model_id="judge-model")
        return caller

    async def test_a_judge_blocks_and_is_metered(self, judged: Caller, provider: FakeProvider) -> None:
        """Once what judges took was neither logged nor billed."""
        await judged.guardrail(custom_prompt="No cats.", model_key="judge")
        await attach(judged, input_guardrail_key="g")
        provider.behaviour = judging({"allowed": False, "violations": [{"category": "cats", "reason": "A cat."}]})
        error = await refused(judged.chat("meow"))
        assert "A cat." in str(error.details())
        assert {each.model for each in await judged.records(2)} == {"m", "judge"}
        provider.behaviour = judging({"allowed": True, "violations": []})
        assert (await judged.chat("woof"))["choices"][0]["message"]["content"] == "Hello!"

    @pytest.mark.parametrize(
        "verdict", ["no idea", '{"allowed": "false"}', '{"allowed": null}', "", '{"violations": []}']
    )
    @pytest.mark.parametrize(("mode", "passes"), [("open", True), ("closed", False), ("", False)])
    async def test_no_verdict_is_one_of_the_fail_mode(
        self, judged: Caller, provider: FakeProvider, verdict: str, mode: str, passes: bool
    ) -> None:
        """Once the text "false" was true, and a guardrail that fails closed let it pass."""
        await judged.guardrail(custom_prompt="No cats.", model_key="judge", fail_mode=mode)
        await attach(judged, input_guardrail_key="g")
        provider.behaviour = judging(verdict)
        if passes:
            await judged.chat("meow")
        else:
            assert "could not be checked" in str((await refused(judged.chat("meow"))).details())

    @pytest.mark.parametrize("part", ["", "moderation", "promptShield"])
    async def test_a_judge_is_not_deleted(self, judged: Caller, part: str) -> None:
        """Its guardrail blocked everything from then on."""
        policy = {part: {"enabled": True, "modelKey": "judge"}} if part else None
        await judged.guardrail(policy, **({} if part else {"custom_prompt": "No cats.", "model_key": "judge"}))
        models, judge = judged.harness.models, model_service_pb2.DeleteModelRequest(id="judge")
        error = await refused(models.DeleteModel(judge, metadata=judged.metadata))
        assert (reason_of(error), field_of(error)) == ("MODEL_IN_USE", "id")
        request = pb.DeleteGuardrailRequest(key="g")
        await judged.harness.guardrails.DeleteGuardrail(request, metadata=judged.metadata)
        await models.DeleteModel(judge, metadata=judged.metadata)

    async def test_not_allowed_without_a_violation_is_not_allowed(self, judged: Caller, provider: FakeProvider) -> None:
        await judged.guardrail(custom_prompt="No cats.", model_key="judge")
        await attach(judged, input_guardrail_key="g")
        provider.behaviour = judging({"allowed": False, "violations": []})
        await refused(judged.chat("meow"))

    async def test_a_stream_waits_for_the_judge(self, judged: Caller, provider: FakeProvider) -> None:
        await judged.guardrail(custom_prompt="No cats.", model_key="judge")
        await attach(judged, output_guardrail_key="g")
        provider.behaviour = judging({"allowed": False, "violations": []}, "meow")
        frames = await judged.stream()
        assert "meow" not in json.dumps(frames)
        assert frames[-1]["error"]["type"] == "guardrail_block"
        provider.behaviour = judging({"allowed": True}, "meow")
        assert text_of(await judged.stream()) == "meow"

    async def test_a_judge_that_is_guarded_by_itself_ends(self, judged: Caller, provider: FakeProvider) -> None:
        await judged.guardrail(custom_prompt="No cats.", model_key="m")
        await attach(judged, input_guardrail_key="g", output_guardrail_key="g")
        provider.behaviour = fake.answers('{"allowed": true}')
        await judged.chat("meow")
        assert provider.asked == 3

    async def test_moderations_in_the_form_of_openai(self, judged: Caller, provider: FakeProvider) -> None:
        policy = {"moderation": {"enabled": True, "modelKey": "judge"}}
        await judged.guardrail(policy)
        violation = {"category": "violence", "severity": "high", "score": 0.8, "reason": "A threat."}
        provider.behaviour = judging({"allowed": False, "violations": [violation]})
        request = pb.ModerateTextsRequest()
        request.input.string_value = "I will hurt you"
        answer = await judged.harness.guardrails.ModerateTexts(request, metadata=judged.metadata)
        (result,) = answer.results
        assert answer.id.startswith("modr_")
        assert (answer.model, result.flagged) == ("g", True)
        assert result.categories["violence"]
        assert not result.categories["hate"]
        assert result.category_scores["violence"] == 0.8
        assert result.category_scores["hate"] == 0.0


class TestPiiPolicies:
    @pytest.mark.parametrize("stream", [False, True])
    async def test_the_provider_sees_tokens_and_the_caller_values(
        self, caller: Caller, provider: FakeProvider, stream: bool
    ) -> None:
        await caller.pii_policy(default_action="tokenize")
        await attach(caller, pii_policy_key="pii")
        if stream:
            provider.behaviour = fake.streams(["Dear [EM", "AIL_", "2], not [EMAIL_9] or [X", "]"])
        else:
            provider.behaviour = fake.answers("Dear [EMAIL_2], not [EMAIL_9] or [X]")
        text = f"I am {EMAIL}, {EMAIL} again, and mail b@example.com. [EMAIL_1] is no token of yours."
        if stream:
            said = text_of(await caller.stream(text))
        else:
            said = (await caller.chat(text))["choices"][0]["message"]["content"]
        expected = "I am [EMAIL_2], [EMAIL_2] again, and mail [EMAIL_3]. [EMAIL_1] is no token of yours."
        assert sent(provider)[0]["content"] == expected
        assert said == f"Dear {EMAIL}, not [EMAIL_9] or [X]"

    @pytest.mark.parametrize(("action", "shown"), [("redact", HIDDEN), ("mask", "j***.***@*******.*om")])
    async def test_what_is_not_to_come_back(
        self, caller: Caller, provider: FakeProvider, action: str, shown: str
    ) -> None:
        await caller.pii_policy(default_action=action)
        await attach(caller, pii_policy_key="pii")
        await caller.chat(f"I am {EMAIL}")
        assert sent(provider)[0]["content"] == f"I am {shown}"

    async def test_a_policy_can_block(self, caller: Caller, provider: FakeProvider) -> None:
        await caller.pii_policy(default_action="block")
        await attach(caller, pii_policy_key="pii")
        assert reason_of(await refused(caller.chat(f"I am {EMAIL}"))) == "PII_BLOCKED"
        assert provider.asked == 0

    async def test_tokens_come_back_with_the_vault_in_the_same_project_only(self, caller: Caller) -> None:
        stub = caller.harness.pii
        await caller.pii_policy()
        request = pii_service_pb2.ScanPiiRequest(policy_key="pii", text=f"I am {EMAIL}.")
        scan = await stub.TokenizePii(request, metadata=caller.metadata)
        assert scan.output_text == "I am [EMAIL_1]."
        assert EMAIL not in str(scan.vault)
        back = pii_service_pb2.DetokenizePiiRequest(text="Dear [EMAIL_1]!", vault=scan.vault)
        assert (await stub.DetokenizePii(back, metadata=caller.metadata)).output_text == f"Dear {EMAIL}!"
        for other in (caller.harness.caller(project="prj_other"), caller.harness.caller(tenant="globex")):
            error = await refused(stub.DetokenizePii(back, metadata=other.metadata))
            assert (reason_of(error), field_of(error)) == ("VAULT_INVALID", "vault")

    async def test_findings_have_their_places(self, caller: Caller) -> None:
        pattern = pii_service_pb2.PiiPattern(category_id="ticket", pattern=r"TICK-\d+", label="Ticket")
        await caller.pii_policy(custom_patterns=[pattern])
        text = "x" * 9000 + f" {EMAIL} and tick-42"
        request = pii_service_pb2.ScanPiiRequest(policy_key="pii", text=text)
        scan = await caller.harness.pii.DetectPii(request, metadata=caller.metadata)
        assert scan.output_text == text
        assert [(each.category, each.source) for each in scan.findings] == [("email", "builtin"), ("ticket", "custom")]
        assert [text[each.start : each.end] for each in scan.findings] == [EMAIL, "tick-42"]
        assert scan.findings[0].replacement == HIDDEN


class TestRecords:
    async def test_one_in_use_is_not_deleted(self, caller: Caller) -> None:
        await caller.guardrail(PII)
        await caller.pii_policy()
        await attach(caller, output_guardrail_key="g", pii_policy_key="pii")
        delete = pb.DeleteGuardrailRequest(key="g")
        error = await refused(caller.harness.guardrails.DeleteGuardrail(delete, metadata=caller.metadata))
        assert reason_of(error) == "GUARDRAIL_IN_USE"
        policy = pii_service_pb2.DeletePiiPolicyRequest(key="pii")
        error = await refused(caller.harness.pii.DeletePiiPolicy(policy, metadata=caller.metadata))
        assert reason_of(error) == "PII_POLICY_IN_USE"
        await attach(caller, output_guardrail_key="", pii_policy_key="")
        await caller.harness.guardrails.DeleteGuardrail(delete, metadata=caller.metadata)
        await caller.harness.pii.DeletePiiPolicy(policy, metadata=caller.metadata)
        for keys in ({"input_guardrail_key": "g"}, {"pii_policy_key": "pii"}):
            error = await refused(attach(caller, **keys))
            assert error.code() is grpc.StatusCode.NOT_FOUND
            assert field_of(error).lower() == next(iter(keys)).replace("_", "")

    async def test_projects_and_tenants_do_not_meet(self, caller: Caller) -> None:
        """The same keys in another project and another tenant are other guardrails."""
        await caller.guardrail(PII, action="block")
        evaluate = pb.EvaluateGuardrailRequest(guardrail_key="g", text=EMAIL)
        stub = caller.harness.guardrails
        for other in (caller.harness.caller(project="prj_other"), caller.harness.caller(tenant="globex")):
            error = await refused(stub.EvaluateGuardrail(evaluate, metadata=other.metadata))
            assert error.code() is grpc.StatusCode.NOT_FOUND
            await other.guardrail({"pii": {"enabled": True, "categories": {"email": False}}}, action="block")
            assert (await stub.EvaluateGuardrail(evaluate, metadata=other.metadata)).passed
            assert len(await other.evaluations()) == 1
        assert not (await stub.EvaluateGuardrail(evaluate, metadata=caller.metadata)).passed
        assert len(await caller.evaluations()) == 1

    async def test_an_evaluation_and_its_statistics(self, caller: Caller) -> None:
        await caller.guardrail({"pii": {"enabled": True, "action": "redact"}, "wordFilter": {"enabled": True}})
        stub = caller.harness.guardrails
        for text in (f"I am {EMAIL}", "what the fuck", "hello"):
            request = pb.EvaluateGuardrailRequest(guardrail_key="g", text=text)
            answers = await stub.EvaluateGuardrail(request, metadata=caller.metadata)
            if EMAIL in text:
                assert answers.redacted_text.string_value == f"I am {HIDDEN}"
                assert answers.message.WhichOneof("kind") == "null_value"
        await caller.harness.flush()
        totals = await stub.GetGuardrailStatistics(pb.GetGuardrailStatisticsRequest(key="g"), metadata=caller.metadata)
        assert (totals.evaluations, totals.passed, totals.failed) == (3, 2, 1)
        assert dict(totals.findings_by_category) == {"email": 1, "word_filter": 1}
        assert [(each.evaluations, each.passed) for each in totals.days] == [(3, 2)]

    @pytest.mark.parametrize(
        ("fields", "policy", "field"),
        [
            ({"type": "other"}, {}, "type"),
            ({"action": "explode"}, {}, "action"),
            ({"fail_mode": "ajar"}, {}, "failMode"),
            ({"target": "sideways"}, {}, "target"),
            ({"key": "evaluate"}, {}, "key"),
            ({"name": ""}, {}, "name"),
            ({"type": "custom"}, None, "modelKey"),
            ({"type": "custom", "model_key": "m"}, None, "customPrompt"),
            ({"type": "custom", "model_key": "m", "custom_prompt": "p", "action": "redact"}, None, "action"),
            ({}, {"unknown": {}}, "policy"),
            ({}, {"pii": {"enabled": "yes"}}, "policy.pii.enabled"),
            ({}, {"pii": {"categories": {"shoeSize": True}}}, "policy.pii.categories"),
            ({}, {"moderation": {"enabled": True}}, "policy.moderation.modelKey"),
            ({"model_key": "m"}, {"promptShield": {"enabled": True, "action": "redact"}}, "policy.promptShield.action"),
            ({}, {"wordFilter": {"regexes": ["ok", "(a)\\1"]}}, "policy.wordFilter.regexes[1]"),
            ({}, {"wordFilter": {"builtinLists": {"profanity-xx": True}}}, "policy.wordFilter.builtinLists"),
            ({}, {"wordFilter": {"customListKeys": ["none"]}}, "policy.wordFilter.customListKeys"),
            ({}, {"wordFilter": {"words": ["x" * 101]}}, "policy.wordFilter.words"),
        ],
    )
    async def test_a_wrong_field_is_named_and_nothing_is_kept(
        self, caller: Caller, fields: dict[str, Any], policy: dict[str, Any] | None, field: str
    ) -> None:
        error = await refused(caller.guardrail(policy, **fields))
        assert field_of(error) == field
        listed = await caller.harness.guardrails.ListGuardrails(pb.ListGuardrailsRequest(), metadata=caller.metadata)
        assert list(listed.guardrails) == []
