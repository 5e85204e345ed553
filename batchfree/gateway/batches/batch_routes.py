"""The paths of OpenAI's files and batches.

Source: OpenAI API reference, "Files" and "Batch". Lists are ordered from new to old.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from batchfree.core.errors import FULL
from batchfree.gateway.batches.batch_record import OPEN, BatchRecord, FileRecord, read_wish
from batchfree.gateway.batches.batch_runner import BatchRunner
from batchfree.gateway.batches.record_store import CONTENT, RecordStore
from batchfree.gateway.batches.upload import read_upload
from batchfree.gateway.call_body import BodyMemory, ClientLeftError
from batchfree.gateway.http_refusal import HttpRefusal, invalid

MOST_STORED = 10 * 1024**3
"""Most bytes of all files together."""
MOST_OPEN = 1_000
"""Most batches that are not done."""
MOST_BATCHES_A_PAGE, BATCHES_A_PAGE = 100, 20
MOST_FILES_A_PAGE = 10_000

RecordT = TypeVar("RecordT", BatchRecord, FileRecord)


class BatchRoutes:
    """The handlers of all paths."""

    def __init__(
        self, batches: RecordStore[BatchRecord], files: RecordStore[FileRecord], runner: BatchRunner, memory: BodyMemory
    ) -> None:
        self._batches, self._files, self._runner, self._memory = batches, files, runner, memory
        self._clock = runner.clock

    def routes(self, prefix: str) -> list[Route]:
        """The routes under a prefix such as `/v1`."""
        return [
            Route(f"{prefix}/files", self._upload, methods=["POST"]),
            Route(f"{prefix}/files", self._list_files, methods=["GET"]),
            Route(f"{prefix}/files/{{id}}", self._file, methods=["GET"]),
            Route(f"{prefix}/files/{{id}}", self._delete, methods=["DELETE"]),
            Route(f"{prefix}/files/{{id}}/content", self._content, methods=["GET"]),
            Route(f"{prefix}/batches", self._create, methods=["POST"]),
            Route(f"{prefix}/batches", self._list_batches, methods=["GET"]),
            Route(f"{prefix}/batches/{{id}}", self._batch, methods=["GET"]),
            Route(f"{prefix}/batches/{{id}}/cancel", self._cancel, methods=["POST"]),
        ]

    async def _upload(self, request: Request) -> Response:
        if sum(record.bytes for record in self._files.all()) > MOST_STORED:
            return refusal_response(
                invalid(f"more than {MOST_STORED >> 30} GB are stored; delete files first", status=413)
            )
        id = self._files.new_id()
        try:
            with self._files.making(id) as folder:
                upload = await read_upload(request, folder / CONTENT)
                if isinstance(upload, HttpRefusal):
                    return refusal_response(upload.with_header("Connection", "close"))
                record = FileRecord(
                    id=id,
                    bytes=upload.size,
                    created_at=int(self._clock()),
                    filename=upload.filename,
                    purpose=upload.purpose,
                )
                self._files.put(record)
        except ClientDisconnect:
            return Response(status_code=400)
        except OSError as error:
            return _disk(error)
        return JSONResponse(record.to_json())

    async def _list_files(self, request: Request) -> Response:
        purpose = request.query_params.get("purpose")
        records = [record for record in self._files.all() if purpose in (None, record.purpose)]
        if request.query_params.get("order") == "asc":
            records.reverse()
        return _page(request, records, MOST_FILES_A_PAGE, MOST_FILES_A_PAGE)

    async def _file(self, request: Request) -> Response:
        record = self._files.get(request.path_params["id"])
        return _no_file(request) if record is None else JSONResponse(record.to_json())

    async def _delete(self, request: Request) -> Response:
        record = self._files.get(request.path_params["id"])
        if record is None:
            return _no_file(request)
        self._files.remove(record.id)
        return JSONResponse({"id": record.id, "object": "file", "deleted": True})

    async def _content(self, request: Request) -> Response:
        record = self._files.get(request.path_params["id"])
        if record is None:
            return _no_file(request)
        return FileResponse(self._files.folder(record.id) / CONTENT, media_type="application/octet-stream")

    async def _create(self, request: Request) -> Response:
        try:
            with self._memory.reading(request.scope, request.receive) as reading:
                raw = await reading.read()
        except ClientLeftError:
            return Response(status_code=400)
        wish = raw if isinstance(raw, HttpRefusal) else read_wish(raw)
        if isinstance(wish, HttpRefusal):
            return refusal_response(wish)
        file = self._files.get(wish.input_file_id)
        if file is None or file.purpose != "batch":
            what = f"No such File object: {wish.input_file_id[:100]}" if file is None else "the file is no batch input"
            return refusal_response(invalid(what, "input_file_id"))
        if sum(record.status in OPEN for record in self._batches.all()) >= MOST_OPEN:
            return refusal_response(invalid(f"{MOST_OPEN} batches are open already", status=429))
        record = BatchRecord(
            id=self._batches.new_id(),
            status="validating",
            input_file_id=file.id,
            completion_window=wish.completion_window,
            created_at=int(self._clock()),
            metadata=wish.metadata,
        )
        try:
            with self._batches.making(record.id):
                self._batches.put(record)
        except OSError as error:
            return _disk(error)
        self._runner.begin(record.id)
        return JSONResponse(record.to_json())

    async def _list_batches(self, request: Request) -> Response:
        records = [self._runner.now(record) for record in self._batches.all()]
        return _page(request, records, BATCHES_A_PAGE, MOST_BATCHES_A_PAGE)

    async def _batch(self, request: Request) -> Response:
        record = self._batches.get(request.path_params["id"])
        return _no_batch(request) if record is None else JSONResponse(self._runner.now(record).to_json())

    async def _cancel(self, request: Request) -> Response:
        record = self._batches.get(request.path_params["id"])
        if record is None:
            return _no_batch(request)
        if record.status not in ("validating", "in_progress", "cancelling"):
            return refusal_response(invalid(f"Cannot cancel a batch with status '{record.status}'.", status=409))
        try:
            record = record if record.status == "cancelling" else self._runner.cancel(record.id)
        except OSError as error:
            return _disk(error)
        return JSONResponse(self._runner.now(record).to_json())


def refusal_response(refusal: HttpRefusal) -> Response:
    """A refusal as a response."""
    return JSONResponse(refusal.body(), refusal.status, refusal.all_headers())


def _page(request: Request, records: Sequence[RecordT], usual: int, most: int) -> Response:
    """One page of a list: at most `limit` records that follow the record `after`."""
    asked, after = request.query_params.get("limit", str(usual)), request.query_params.get("after")
    if not asked.isascii() or not asked.isdigit() or not 1 <= int(asked[:9]) <= most:
        return refusal_response(invalid(f"`limit` must be a number from 1 to {most}", "limit"))
    place = next((place for place, record in enumerate(records) if record.id == after), None)
    if after is not None and place is None:
        return refusal_response(invalid(f"there is nothing with the id {after[:100]!r}", "after"))
    begin = 0 if place is None else place + 1
    page = records[begin : begin + int(asked)]
    ends = {"first_id": page[0].id if page else None, "last_id": page[-1].id if page else None}
    has_more = begin + len(page) < len(records)
    return JSONResponse({"object": "list", "data": [each.to_json() for each in page], **ends, "has_more": has_more})


def _no_file(request: Request) -> Response:
    return refusal_response(invalid(f"No such File object: {request.path_params['id'][:100]}", "id", status=404))


def _no_batch(request: Request) -> Response:
    return refusal_response(invalid(f"No batch found with id '{request.path_params['id'][:100]}'.", "id", status=404))


def _disk(error: OSError) -> Response:
    status = 507 if error.errno in FULL else 500
    return refusal_response(HttpRefusal(status=status, message=f"the file can't be kept: {error.strerror}"))
