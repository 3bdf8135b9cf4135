"""S3 that checks what it is sent: SHA-256 of objects and parts, bucket policies with conditions. Owns no transport."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from moto.iam.access_control import PermissionResult
from moto.s3.exceptions import InvalidPart, NoSuchUpload, S3ClientError
from moto.s3.models import FakeBucket, FakeMultipart
from moto.s3.responses import S3Response

from lab.aws import bucket_policy
from lab.aws.patches import Patches
from lab.aws.state import AccountState

HEADER = "x-amz-checksum-sha256"
ALGORITHM = "SHA256"


def install(patches: Patches, state: AccountState) -> None:
    _install_put(patches, state)
    _install_upload_part(patches)
    _install_list_parts(patches)
    _install_complete(patches, state)
    _install_head(patches)
    _install_policy(patches)


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _check(response: S3Response) -> str | None:
    """The SHA-256 that came with the request, proven; None when none came."""
    claimed: str | None = response.headers.get(HEADER)
    if claimed is not None and claimed != sha256(response.body or b""):
        raise S3ClientError("BadDigest", "The SHA256 you specified did not match the calculated checksum.")
    return claimed


def _install_put(patches: Patches, state: AccountState) -> None:
    """Real: BadDigest when the checksum does not match, and kept. moto: believed, kept only with another header."""

    def make(original: Any) -> Any:
        def put_object(response: S3Response) -> Any:
            claimed = _check(response)
            answer = original(response)
            name = response.parse_key_name()
            if claimed is not None:
                key = response.backend.get_object(response.bucket_name, name)
                key.checksum_algorithm, key.checksum_value, key.checksum_type = ALGORITHM, claimed, "FULL_OBJECT"
                answer[1][HEADER] = claimed
            state.events.emit("s3", response.bucket_name, f"object {name}: {len(response.body or b'')} bytes")
            return answer

        return put_object

    patches.replace(S3Response, "put_object", make)


def _multipart(response: S3Response) -> FakeMultipart:
    upload_id = response._get_param("uploadId")
    multipart = response.backend.get_bucket(response.bucket_name).multiparts.get(upload_id)
    if multipart is None:
        raise NoSuchUpload(upload_id=upload_id)
    return multipart


def _wants_sha256(multipart: FakeMultipart) -> bool:
    return bool(multipart.metadata.get("x-amz-checksum-algorithm") == ALGORITHM)


def _install_upload_part(patches: Patches) -> None:
    """Real: verified, demanded by an upload that was created with SHA256, kept. moto: none; KeyError if unknown."""

    def make(original: Any) -> Any:
        def upload_part(response: S3Response) -> Any:
            multipart = _multipart(response)
            claimed = _check(response)
            if claimed is None and _wants_sha256(multipart):
                raise S3ClientError(
                    "InvalidRequest",
                    "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum Type: null",
                )
            answer = original(response)
            if claimed is not None:
                part = multipart.parts[response._get_int_param("partNumber")]
                part.checksum_algorithm, part.checksum_value = ALGORITHM, claimed
                answer[1][HEADER] = claimed
            return answer

        return upload_part

    patches.replace(S3Response, "upload_part", make)


def _with_result(response: S3Response, change: Callable[[dict[str, Any]], None], call: Callable[[], Any]) -> Any:
    """Run `call`, letting `change` edit the result just before moto turns it into XML."""

    def serialized(action_result: Any) -> Any:
        change(action_result.result)
        return S3Response.serialized(response, action_result)

    response.serialized = serialized
    try:
        return call()
    finally:
        del response.serialized


def _install_list_parts(patches: Patches) -> None:
    """Real: each part with its checksum. moto: without."""

    def make(original: Any) -> Any:
        def list_parts(response: S3Response) -> Any:
            multipart = _multipart(response)

            def add_checksums(result: dict[str, Any]) -> None:
                if _wants_sha256(multipart):
                    result["ChecksumAlgorithm"], result["ChecksumType"] = ALGORITHM, "COMPOSITE"
                for part in result["Parts"]:
                    value = multipart.parts[part["PartNumber"]].checksum_value
                    if value is not None:
                        part["ChecksumSHA256"] = value

            return _with_result(response, add_checksums, lambda: original(response))

        return list_parts

    patches.replace(S3Response, "list_parts", make)


def _install_complete(patches: Patches, state: AccountState) -> None:
    """Real: the checksums given must be those of the parts, in order; answers the composite. moto: ignores them."""

    def make(original: Any) -> Any:
        def key_response_post(
            response: S3Response, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str
        ) -> Any:
            def go_on() -> Any:
                return original(response, request, body, bucket_name, query, key_name)

            if not query.get("uploadId") or _is_repeated(response, key_name, query["uploadId"][0]):
                return go_on()
            multipart = _multipart(response)
            digests = _check_parts(multipart, body)

            def add_checksum(result: dict[str, Any]) -> None:
                if _wants_sha256(multipart):
                    result["ChecksumSHA256"], result["ChecksumType"] = composite(digests), "COMPOSITE"

            answer = _with_result(response, add_checksum, go_on)
            state.events.emit("s3", bucket_name, f"multipart object {key_name}: {len(digests)} parts")
            return answer

        return key_response_post

    patches.replace(S3Response, "_key_response_post", make)


def _is_repeated(response: S3Response, key_name: str, upload_id: str) -> bool:
    existing = response.backend.get_object(response.bucket_name, key_name)
    return bool(existing is not None and existing.multipart and existing.multipart.id == upload_id)


def _check_parts(multipart: FakeMultipart, body: bytes) -> list[str]:
    # Tags carry S3's namespace, or none: {http://s3.amazonaws.com/doc/2006-03-01/}Part
    document = ElementTree.fromstring(body)  # noqa: S314 - sent by our own clients
    parts = [{child.tag.rpartition("}")[2]: child.text or "" for child in part} for part in document]
    numbers = [int(part["PartNumber"]) for part in parts]
    if numbers != sorted(set(numbers)):
        raise S3ClientError("InvalidPartOrder", "The list of parts was not in ascending order.")
    digests = []
    for number, part in zip(numbers, parts, strict=True):
        claimed = part.get("ChecksumSHA256")
        stored = multipart.parts.get(number)
        if stored is None or (claimed is not None and claimed != stored.checksum_value):
            raise InvalidPart
        if claimed is None and _wants_sha256(multipart):
            raise S3ClientError(
                "InvalidRequest",
                "The upload was created using a sha256 checksum. The complete request must include the checksum "
                f"for each part. It was missing for part {number} in the request.",
            )
        digests.append(stored.checksum_value or sha256(stored.value))
    return digests


def composite(digests: list[str]) -> str:
    """The checksum of a multipart object: that of its parts' raw digests, and how many they are."""
    raw = b"".join(base64.b64decode(digest) for digest in digests)
    return f"{sha256(raw)}-{len(digests)}"


def _install_head(patches: Patches) -> None:
    """Real: a composite checksum ends in -<parts>. moto: so in GetObject, not in HeadObject."""

    def make(original: Any) -> Any:
        def head_object(response: S3Response, bucket_name: str, query: Any, key_name: str, headers: Any) -> Any:
            answer = original(response, bucket_name, query, key_name, headers=headers)
            key = response.backend.get_object(bucket_name, key_name, version_id=query.get("versionId", [None])[0])
            if HEADER in answer[1] and key.checksum_type == "COMPOSITE":
                answer[1][HEADER] = f"{key.checksum_value}-{key.checksum_parts}"
            return answer

        return head_object

    patches.replace(S3Response, "head_object", make)


def _install_policy(patches: Patches) -> None:
    """Real: conditions count. moto: evaluates a bucket policy without them, so "deny without TLS" denies everything."""
    current = threading.local()

    def make_response(original: Any) -> Any:
        def key_response(response: S3Response, request: Any, full_url: str) -> Any:
            current.headers = dict(request.headers)
            return original(response, request, full_url)

        return key_response

    def make_permission(_original: Any) -> Any:
        def get_permission(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
            if bucket.policy is None:
                return PermissionResult.NEUTRAL
            # POST is what starts and completes an upload: PutObject, as far as permissions go.
            action = "s3:PutObject" if action == "s3:PostObject" else action
            found = bucket_policy.decision(
                json.loads(bucket.policy), action=action, resource=resource, headers=getattr(current, "headers", {})
            )
            return {"Deny": PermissionResult.DENIED, "Allow": PermissionResult.PERMITTED}.get(
                found, PermissionResult.NEUTRAL
            )

        return get_permission

    patches.replace(S3Response, "_key_response", make_response)
    patches.replace(FakeBucket, "get_permission", make_permission)
