"""Conversion between the messages of PromptService and the domain's values: pure functions."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from google.protobuf.struct_pb2 import Value

from core import json_bodies
from core.errors import InvalidInput
from core.rpc.values import small_json_of, struct_of, timestamp_of
from portico.inference.v1 import prompt_service_pb2 as pb
from services.inference.domain.prompts.comparison import LineChange, MemberChange
from services.inference.domain.prompts.deployments import rollout
from services.inference.domain.prompts.prompts import NewPrompt, PromptChanges, Rendered, Wanted
from services.inference.domain.prompts.records import (
    Deployment,
    DeploymentEvent,
    Prompt,
    PromptComment,
    PromptVersion,
    VersionRef,
)

_OBJECT = msgspec.json.Decoder(dict[str, Any])


def new_prompt(request: pb.CreatePromptRequest) -> NewPrompt:
    return NewPrompt(
        name=request.name,
        template=request.template,
        key=request.key,
        description=request.description,
        metadata=small_json_of(request.metadata, "metadata"),
        comment=request.version_comment,
    )


def prompt_changes(request: pb.UpdatePromptRequest) -> PromptChanges:
    return PromptChanges(
        name=request.name if request.HasField("name") else None,
        template=request.template if request.HasField("template") else None,
        description=request.description if request.HasField("description") else None,
        metadata=small_json_of(request.metadata, "metadata") if request.HasField("metadata") else None,
        comment=request.version_comment,
    )


def wanted_of(request: pb.GetPromptRequest | pb.RenderPromptRequest | pb.RenderPromptOverRestRequest) -> Wanted:
    return Wanted(request.version if request.HasField("version") else None, request.environment)


def data_of(body: bytes) -> Mapping[str, Any]:
    """The data in the body of a rendering: its member `data`, or all of it. Raises InvalidInput."""
    if not body.strip():
        return {}
    given = json_bodies.read(_OBJECT, body)
    if "data" not in given:
        return given
    data = given["data"]
    if others := sorted(given.keys() - {"data"}):
        raise InvalidInput(f"{others[0]} has no place beside data. Put it into data, or into the query.", field="data")
    if not isinstance(data, dict | None):
        raise InvalidInput("data must be an object.", field="data")
    return data or {}


def prompt_message(prompt: Prompt, version: PromptVersion | None = None) -> pb.Prompt:
    """The prompt as this version has it; None: the current one."""
    shown = version or prompt.current
    return pb.Prompt(
        id=prompt.id,
        record_id=prompt.id,
        key=prompt.key,
        name=shown.name,
        description=shown.description,
        template=shown.template,
        metadata=struct_of(shown.metadata),
        current_version=prompt.current.number,
        latest_version_id=prompt.current.id,
        deployments=_deployments(prompt),
        deployment_history=[event_message(each) for each in prompt.history],
        created_by=prompt.created_by,
        created_at=timestamp_of(prompt.created_at),
        updated_at=timestamp_of(prompt.updated_at),
    )


def reference_message(prompt: Prompt) -> pb.PromptReference:
    return pb.PromptReference(id=prompt.id, key=prompt.key, name=prompt.current.name)


def version_message(prompt: Prompt, version: PromptVersion) -> pb.PromptVersion:
    return pb.PromptVersion(
        id=version.id,
        prompt_id=prompt.id,
        version=version.number,
        name=version.name,
        description=version.description,
        template=version.template,
        metadata=struct_of(version.metadata),
        comment=version.comment,
        is_latest=version.id == prompt.current.id,
        created_by=version.created_by,
        created_at=timestamp_of(version.created_at),
    )


def rendered_message(rendered: Rendered, environment: str) -> pb.RenderedPrompt:
    version = rendered.version
    return pb.RenderedPrompt(
        key=rendered.prompt.key,
        name=version.name,
        description=version.description,
        version=version.number,
        environment=environment or None,
    )


def deployments_message(prompt: Prompt) -> pb.PromptDeployments:
    return pb.PromptDeployments(
        deployments=_deployments(prompt), history=[event_message(each) for each in prompt.history]
    )


def event_message(event: DeploymentEvent) -> pb.PromptDeploymentEvent:
    return pb.PromptDeploymentEvent(
        id=event.id,
        environment=event.environment,
        action=event.action,
        version_id=event.version.id,
        version=event.version.number,
        note=event.note or None,
        created_by=event.created_by,
        created_at=timestamp_of(event.created_at),
    )


def comparison_message(
    prompt: Prompt,
    versions: tuple[PromptVersion, PromptVersion],
    lines: Iterable[LineChange],
    members: Iterable[MemberChange],
    comments: Iterable[PromptComment],
) -> pb.PromptComparison:
    old, new = versions
    return pb.PromptComparison(
        from_version=version_message(prompt, old),
        to_version=version_message(prompt, new),
        template_diff=[pb.PromptLineChange(type=each.type, line=each.line) for each in lines],
        metadata_diff=[
            pb.PromptMetadataChange(
                key=each.name, from_value=_value(each.old), to_value=_value(each.new), changed=each.changed
            )
            for each in members
        ],
        deployment_history=[event_message(each) for each in prompt.history if each.version.id in (old.id, new.id)],
        comments=[comment_message(each) for each in comments],
    )


def comment_message(comment: PromptComment) -> pb.PromptComment:
    return pb.PromptComment(
        id=comment.id,
        content=comment.content,
        version_id=comment.version_id,
        version=comment.version_number,
        created_by=comment.created_by,
        created_by_name=comment.created_by,
        created_at=timestamp_of(comment.created_at),
    )


def _deployments(prompt: Prompt) -> dict[str, pb.PromptDeployment]:
    messages = {name: _deployment(name, each) for name, each in prompt.deployments.items()}
    return {name: message for name, message in messages.items() if message is not None}


def _deployment(environment: str, deployment: Deployment) -> pb.PromptDeployment | None:
    """None for one that serves nothing and plans nothing."""
    version, status = rollout(deployment)
    if version is None:
        return None
    none = VersionRef("", 0)
    active, previous = deployment.active or none, deployment.previous or none
    return pb.PromptDeployment(
        environment=environment,
        version_id=version.id,
        version=version.number,
        rollout_status=status,
        rollout_strategy="manual",
        active_version_id=active.id or None,
        active_version=active.number or None,
        rollback_version_id=previous.id or None,
        rollback_version=previous.number or None,
        note=deployment.note or None,
        updated_by=deployment.updated_by,
        updated_at=timestamp_of(deployment.updated_at),
    )


def _value(value: Any) -> Value:
    return struct_of({"": value}).fields[""]
