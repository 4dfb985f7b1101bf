"""Objects in a bucket of Amazon's S3, or of a service that speaks its protocol."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import AioSession  # type: ignore[import-untyped]

from core import logs
from core.errors import (
    InvalidInput,
    NotFound,
    PorticoError,
    Unavailable,
    UpstreamFailed,
)
from core.http.guard import OutboundGuard
from core.http.origin import Origin
from core.providers.drivers import Field, Host, Values
from core.tenancy import Project
from services.rag.adapters.blocks import blocks
from services.rag.adapters.s3_errors import absent, provider_errors
from services.rag.adapters.s3_http import S3Session
from services.rag.adapters.s3_limits import (
    ATTEMPTS,
    CALL_SECONDS,
    CLEAR_SECONDS,
    CONNECT_SECONDS,
    CONNECTIONS,
    IDLE_SECONDS,
    MAX_LISTED,
    UPLOAD_SECONDS,
)
from services.rag.domain.files import names
from services.rag.ports import BucketLocation, FileDriver, StoredObject, project_path

log = logs.get(__name__)

PART_BYTES = 8 * 1024 * 1024
"""Size of a part of a multipart upload, which is what one upload holds in memory."""
MAX_PARTS = 10_000
"""Most parts that S3 takes of a multipart upload."""
_READ = 256 * 1024
_DEFAULT_REGION = "us-east-1"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()/-]{1,200}")


@dataclass(frozen=True, slots=True)
class S3Options:
    """Address of the bucket and credentials. `endpoint` None: Amazon's own."""

    bucket: str
    region: str
    endpoint: str | None
    prefix: str
    path_style: bool
    access_key: str
    secret_key: str
    session_token: str | None

    def url(self) -> str:
        """Return the URL that requests go to, whose host the guard has to see."""
        base = self.endpoint or f"https://s3.{self.region}.amazonaws.com"
        if self.path_style:
            return base
        parts = urlsplit(base)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}{parts.path}"


def options(credentials: Values, settings: Values) -> S3Options:
    """The options of a provider's fields. Raises InvalidInput."""
    endpoint = settings.get("endpoint")
    return S3Options(
        bucket=settings["bucket"],
        region=settings.get("region", _DEFAULT_REGION),
        endpoint=endpoint,
        prefix=settings["prefix"].strip("/") + "/" if "prefix" in settings else "",
        path_style=settings.get("usePathStyleEndpoint", "true" if endpoint else "false") == "true",
        access_key=credentials["accessKeyId"],
        secret_key=credentials["secretAccessKey"],
        session_token=credentials.get("sessionToken"),
    )


class S3Store:
    """One bucket of a provider. Connects when it is first used."""

    def __init__(self, given: S3Options, guard: OutboundGuard) -> None:
        self._options = given
        self._guard = guard
        self._opening = asyncio.Lock()
        self._client: Any = None
        self._open = AsyncExitStack()

    async def put(self, location: BucketLocation, key: str, content: AsyncIterator[bytes]) -> StoredObject:
        name = self._name(location, key)
        digest, size = sha256(), 0
        async with aclosing(blocks(content, PART_BYTES)) as parts:
            first = await anext(parts, b"")
            await asyncio.to_thread(digest.update, first)
            size = len(first)
            if size < PART_BYTES:
                await self._call("put_object", Key=name, Body=first)
                return StoredObject(size, digest.hexdigest())
            upload = await self._begin(name)
            try:
                done = [await self._part(name, upload, 1, first)]
                async for part in parts:
                    await asyncio.to_thread(digest.update, part)
                    size += len(part)
                    done.append(await self._part(name, upload, len(done) + 1, part))
                await self._call(
                    "complete_multipart_upload", Key=name, UploadId=upload, MultipartUpload={"Parts": done}
                )
            except BaseException:  # a cancellation too: parts without an end would be paid for, and never seen
                await asyncio.shield(self._abort(name, upload))
                raise
        return StoredObject(size, digest.hexdigest())

    async def get(
        self, location: BucketLocation, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        left = length
        if length == 0:
            if await self.size(location, key) is None:
                raise absent()
            return
        wanted: dict[str, str] = {}
        if offset or length is not None:
            wanted["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
        answer = await self._call("get_object", Key=self._name(location, key), **wanted)
        async with answer["Body"] as body:
            while left != 0 and (chunk := await _read(body, left)):
                left = None if left is None else left - len(chunk)
                yield chunk
        if left:
            raise Unavailable("The stored file is shorter than it should be.", reason="OBJECT_DAMAGED")

    async def size(self, location: BucketLocation, key: str) -> int | None:
        try:
            answer = await self._call("head_object", Key=self._name(location, key))
        except NotFound:
            return None
        with provider_errors():
            return int(answer["ContentLength"])

    async def delete(self, location: BucketLocation, key: str) -> None:
        name = self._name(location, key)
        for found, upload in await self._unfinished(name):
            if found == name:
                await self._abort(name, upload)
        await self._call("delete_object", Key=name)

    async def clear(self, project: Project) -> None:
        """Object by object, for not all that speak S3 take a list of them."""
        prefix = f"{self._options.prefix}{project_path(project)}/"
        try:
            async with asyncio.timeout(CLEAR_SECONDS):
                while names := await self._listed(prefix):
                    await asyncio.gather(*(self._call("delete_object", Key=name) for name in names))
                for name, upload in await self._unfinished(prefix):
                    await self._abort(name, upload)
        except TimeoutError:
            raise Unavailable("The file provider still lists files. They are removed later.") from None

    async def _listed(self, prefix: str) -> list[str]:
        """Some names; none: there are none left."""
        answer = await self._call("list_objects_v2", Prefix=prefix, MaxKeys=MAX_LISTED)
        with provider_errors():
            return [each["Key"] for each in answer.get("Contents", ())][:MAX_LISTED]

    async def _unfinished(self, prefix: str) -> list[tuple[str, str]]:
        """Names and ids of some unfinished multipart uploads."""
        answer = await self._call("list_multipart_uploads", Prefix=prefix, MaxUploads=MAX_LISTED)
        with provider_errors():
            return [(each["Key"], each["UploadId"]) for each in answer.get("Uploads", ())][:MAX_LISTED]

    async def check(self) -> None:
        await self._call("head_bucket")

    async def close(self) -> None:
        await self._open.aclose()

    def _name(self, location: BucketLocation, key: str) -> str:
        return self._options.prefix + location.path(key)

    async def _begin(self, name: str) -> str:
        """The id of a new multipart upload. A caller who is cancelled leaves none behind."""
        beginning = asyncio.create_task(self._call("create_multipart_upload", Key=name))
        try:
            answer = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            with suppress(PorticoError), provider_errors():
                await self._abort(name, (await beginning)["UploadId"])
            raise
        with provider_errors():
            return str(answer["UploadId"])

    async def _part(self, name: str, upload: str, number: int, content: bytes) -> dict[str, Any]:
        answer = await self._call("upload_part", Key=name, UploadId=upload, PartNumber=number, Body=content)
        with provider_errors():
            return {"PartNumber": number, "ETag": answer["ETag"]}

    async def _abort(self, name: str, upload: str) -> None:
        try:
            await self._call("abort_multipart_upload", Key=name, UploadId=upload)
        except NotFound:
            pass
        except (Unavailable, UpstreamFailed):  # what came before is the error to tell; `delete` aborts it later
            log.warning("an unfinished upload is left at the provider")

    async def _call(self, operation: str, **arguments: Any) -> Any:
        with provider_errors():
            async with asyncio.timeout(UPLOAD_SECONDS if "Body" in arguments else CALL_SECONDS):
                client = await self._connected()
                return await getattr(client, operation)(Bucket=self._options.bucket, **arguments)

    async def _connected(self) -> Any:
        async with self._opening:
            if self._client is None:
                self._client = await self._open.enter_async_context(self._new_client())
        return self._client

    def _new_client(self) -> Any:
        given = self._options
        config = AioConfig(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=IDLE_SECONDS,
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": "path" if given.path_style else "virtual"},
            proxies={},
            ignore_configured_endpoint_urls=True,
            # Checksums in trailers are Amazon's alone; others refuse them.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            http_session_cls=partial(S3Session, self._guard),
            warm_up_loader_caches=True,
        )
        return _session().create_client(
            "s3",
            region_name=given.region,
            endpoint_url=given.endpoint,
            aws_access_key_id=given.access_key,
            aws_secret_access_key=given.secret_key,
            aws_session_token=given.session_token,
            config=config,
        )


async def _read(body: Any, left: int | None) -> bytes:
    """The next chunk, of `left` bytes at most: a server may send more than it was asked for."""
    with provider_errors():
        chunk: bytes = await body.read(_READ if left is None else min(left, _READ))
        return chunk


def _hosts(credentials: Values, settings: Values) -> Sequence[Host]:
    path = "settings.endpoint"
    origin = Origin.parse(options(credentials, settings).url(), field=path)
    return (Host(origin.host, origin.port, path),)


def driver(guard: OutboundGuard) -> FileDriver:
    def check_endpoint(path: str, value: str) -> None:
        Origin.parse(value, field=path)

    def check_prefix(path: str, value: str) -> None:
        _matches(_PREFIX, "parts of letters and digits, divided by slashes")(path, value)
        names.prefix(path, value)

    return FileDriver(
        id="s3",
        label="S3",
        description="A bucket of Amazon S3, or of a service that speaks its protocol: MinIO, Ceph, R2, ...",
        fields=(
            Field("accessKeyId", "Access key id", "Of a user who may read and write the bucket.", True, True),
            Field("secretAccessKey", "Secret access key", "Belongs to the access key id.", True, True),
            Field("sessionToken", "Session token", "For temporary credentials.", True),
            Field(
                "bucket",
                "Bucket",
                "It must exist.",
                required=True,
                check=_matches(_BUCKET, "a bucket's name"),
                destination=True,  # with a virtual host it is a part of the host's name
            ),
            Field(
                "region",
                "Region",
                f"Default: {_DEFAULT_REGION}.",
                check=_matches(_REGION, "a region's name"),
                destination=True,
            ),
            Field(
                "endpoint",
                "Endpoint",
                "URL of the service; default: Amazon's.",
                check=check_endpoint,
                destination=True,
            ),
            Field(
                "prefix",
                "Prefix",
                "Before all keys, for buckets that hold other things too; default: none.",
                check=check_prefix,
            ),
            Field(
                "usePathStyleEndpoint",
                "Path style",
                "true: the bucket stands in the path; false: in the host name. Default: true with an endpoint.",
                check=_matches(re.compile("true|false"), "true or false"),
                destination=True,
            ),
        ),
        open=lambda credentials, settings: S3Store(options(credentials, settings), guard),
        max_object_bytes=MAX_PARTS * PART_BYTES,
        hosts=_hosts,
    )


def _matches(pattern: re.Pattern[str], what: str) -> Any:
    def check(path: str, value: str) -> None:
        if not pattern.fullmatch(value):
            raise InvalidInput(f"{path} must be {what}.", field=path)

    return check


@lru_cache(maxsize=1)
def _session() -> AioSession:
    """One for all: what it reads of the protocol is kept in it. It never looks for credentials of the machine's own."""
    return AioSession()
