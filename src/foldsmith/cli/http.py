"""What `foldsmith serve` answers; imported by it alone, as it needs the extra `serve`.

POST /bars takes base bars and gives signals; GET /health and GET /model say how it stands and what it is.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Annotated, Any

import polars as pl
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

import foldsmith
from foldsmith.contracts import UTC_MICROSECONDS
from foldsmith.errors import FoldsmithError
from foldsmith.stages.live import Answer, LiveModel

MOST_BYTES = 8 << 20
"""Of the body of a request; a longer one is refused as it comes in."""
MOST_BARS = 50_000
"""Of one request: a month of minutes and more."""

Price = Annotated[float, Field(gt=0, lt=1e12, allow_inf_nan=False)]
Count = Annotated[float, Field(ge=0, lt=1e15, allow_inf_nan=False)]


class Bar(BaseModel):
    """One base bar as in the model's raw file, stamped at its open."""

    model_config = ConfigDict(extra="forbid", strict=True)

    datetime: AwareDatetime = Field(description="Open of the bar, ISO 8601 with its zone.")
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Count
    contract: str | None = Field(default=None, min_length=1, max_length=40)
    trades: Count | None = None
    open_interest: Count | None = None


class Bars(BaseModel):
    """Bars in order of time, the first after the newest that was taken."""

    model_config = ConfigDict(extra="forbid", strict=True)

    bars: list[Bar] = Field(min_length=1, max_length=MOST_BARS)
    over_hole: bool = Field(
        default=False,
        description="Whether bars may be missing before or between these; features then begin anew.",
    )


class Signal(BaseModel):
    """What the model says at the close of a bar: -1 short, 0 neutral, 1 long."""

    datetime: str
    prob_short: float
    prob_neutral: float
    prob_long: float
    signal: int


class Answered(BaseModel):
    """What came of the bars that were sent."""

    taken: int = Field(description="Base bars that were taken.")
    closed: int = Field(description="Bars of the model's timeframe that closed with them.")
    left_out: list[str] = Field(description="Opens of taken bars that cleaning leaves out, as phase 1 does.")
    signals: list[Signal] = Field(description="One for each closed bar at which every feature is known.")


class Refused(BaseModel):
    """Why nothing was taken, in one sentence."""

    detail: str


class Serving:
    """A model, and a lock through which requests go one by one."""

    def __init__(self, model: LiveModel) -> None:
        self._model = model
        self._lock = threading.Lock()

    async def bars(self, request: Request) -> Any:
        """Take bars that follow those before; all of them, or none and a sentence that says why."""
        # A page in a browser cannot send this type to another site unasked.
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            return _refused(415, "the body must be JSON, with the header Content-Type: application/json.")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return _refused(
                    413, f"a body of more than {MOST_BYTES:,} bytes is refused; send fewer bars at a time."
                )
        return await run_in_threadpool(self._take, bytes(body))

    def _take(self, body: bytes) -> JSONResponse:
        try:
            sent = Bars.model_validate_json(body)
        except ValidationError as error:
            return _refused(422, _sentence(error))
        rows = as_rows(sent.bars)
        with self._lock:
            try:
                answer = self._model.add(rows, over_hole=sent.over_hole)
            except FoldsmithError as error:
                return _refused(409, str(error))
        return JSONResponse(_answered(rows.height, answer).model_dump())

    def health(self) -> dict[str, Any]:
        """How it stands: the newest bar, and how many are held."""
        bars = self._model.bars
        return {
            "status": "waiting for bars" if bars is None else "ok",
            "base_bars": 0 if bars is None else bars.height,
            "bars": 0 if bars is None else bars.bars.height,
            "last_bar": None if bars is None else _moment(bars.last),
            "last_decision": None
            if bars is None
            else _moment(int(bars.bars["close_time"].to_physical()[-1])),
        }

    def model(self) -> dict[str, Any]:
        """What is served: run, content hash, symbol, horizon, features."""
        model, manifest = self._model, self._model.run.manifest
        return {
            "run_id": manifest.id,
            "content": manifest.content,
            "model": manifest.extra.get("model"),
            "base_models": list(model.models),
            "symbol": model.recipe.symbol,
            "horizon": manifest.extra.get("horizon"),
            "timeframe": model.recipe.timeframe,
            "features": [*model.features, *model.fitted],
            "classes": [-1, 0, 1],
        }


def application(model: LiveModel) -> FastAPI:
    """The application that serves a model."""
    serving = Serving(model)
    app = FastAPI(title="Foldsmith", version=foldsmith.__version__, description=__doc__ or "")
    refusals: dict[int | str, dict[str, Any]] = {code: {"model": Refused} for code in (409, 413, 415, 422)}
    body = {"content": {"application/json": {"schema": _schema()}}, "required": True}
    app.add_api_route(
        "/bars",
        serving.bars,
        methods=["POST"],
        response_model=Answered,
        responses=refusals,
        openapi_extra={"requestBody": body},
    )
    app.add_api_route("/health", serving.health, methods=["GET"])
    app.add_api_route("/model", serving.model, methods=["GET"])
    return app


def as_rows(bars: list[Bar]) -> pl.DataFrame:
    """Bars as `read_bars` has them."""
    columns: dict[str, pl.Series] = {
        "datetime": pl.Series([bar.datetime.astimezone(UTC) for bar in bars], dtype=UTC_MICROSECONDS)
    }
    for name in ("open", "high", "low", "close", "volume"):
        columns[name] = pl.Series([getattr(bar, name) for bar in bars], dtype=pl.Float64)
    for name, dtype in (("contract", pl.String), ("trades", pl.Float64), ("open_interest", pl.Float64)):
        values = [getattr(bar, name) for bar in bars]
        if any(value is not None for value in values):
            columns[name] = pl.Series(values, dtype=dtype)
    return pl.DataFrame(columns)


def _answered(taken: int, answer: Answer) -> Answered:
    rows = answer.signals.with_columns(pl.col("datetime").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return Answered(
        taken=taken,
        closed=answer.closed,
        left_out=[_moment(at) for at in answer.left_out],
        signals=[Signal(**row) for row in rows.iter_rows(named=True)],
    )


def _schema() -> dict[str, Any]:
    """JSON schema of a request, in one piece."""
    schema = Bars.model_json_schema()
    bar = schema.pop("$defs")["Bar"]
    schema["properties"]["bars"]["items"] = bar
    return schema


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    more = f" ({error.error_count()} such in all)" if error.error_count() > 1 else ""
    return f"{where or 'the body'}: {first['msg']}{more}; /docs says what a request looks like."


def _refused(code: int, sentence: str) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status_code=code)


def _moment(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}"
