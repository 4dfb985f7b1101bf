"""BucketService."""

from core import context as request_context
from core.offload import in_turns
from core.rpc.call import CallContext
from portico.rag.v1 import bucket_service_pb2 as pb
from portico.rag.v1 import bucket_service_pb2_grpc
from services.rag import mapping
from services.rag.domain.files.buckets import Buckets
from services.rag.domain.files.records import FileRecords


class BucketServicer(bucket_service_pb2_grpc.BucketServiceServicer):
    def __init__(self, buckets: Buckets, records: FileRecords) -> None:
        self._buckets = buckets
        self._records = records

    async def ListBuckets(self, request: pb.ListBucketsRequest, context: CallContext) -> pb.ListBucketsResponse:
        buckets, token = await self._buckets.page(
            request_context.identity().project, size=request.page_size, token=request.page_token
        )
        return pb.ListBucketsResponse(
            buckets=await in_turns(mapping.bucket, buckets), count=len(buckets), next_page_token=token
        )

    async def GetBucket(self, request: pb.GetBucketRequest, context: CallContext) -> pb.GetBucketResponse:
        bucket = await self._buckets.get(request_context.identity().project, request.bucket_key)
        return pb.GetBucketResponse(bucket=mapping.bucket(bucket))

    async def CreateBucket(self, request: pb.CreateBucketRequest, context: CallContext) -> pb.CreateBucketResponse:
        bucket = await self._buckets.create(request_context.identity().project, mapping.new_bucket(request))
        return pb.CreateBucketResponse(bucket=mapping.bucket(bucket))

    async def DeleteBucket(self, request: pb.DeleteBucketRequest, context: CallContext) -> pb.DeleteBucketResponse:
        project = request_context.identity().project
        await self._buckets.delete(project, request.bucket_key, lambda id: self._records.count(project, id))
        return pb.DeleteBucketResponse(success=True)
