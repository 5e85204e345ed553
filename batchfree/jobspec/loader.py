"""From a job file to a frozen, checked job spec, or to all its mistakes at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from batchfree.core.errors import Mistake, SpecError
from batchfree.core.text import KeyPath, is_utf8
from batchfree.core.urls import LLAMA
from batchfree.jobspec.check import check_rules
from batchfree.jobspec.defaults import complete
from batchfree.jobspec.draft import Draft, Origin, shape
from batchfree.jobspec.near_jobs import wrong_job_file
from batchfree.jobspec.overrides import COMMAND_LINE, ENDPOINT, OUTPUT, expand, override, put_option
from batchfree.jobspec.schema import EndpointSpec, JobSpec
from batchfree.jobspec.schema_file import load_answer_schema
from batchfree.jobspec.spec_files import home, placed, read_text
from batchfree.jobspec.type_errors import blame_all, wrong_paths
from batchfree.jobspec.variables import reread, substitute
from batchfree.jobspec.written_values import check_labels, take_out_keys
from batchfree.jobspec.yaml.parse import parse_yaml

MAX_PASSES = 10
"""Most times that a spec is validated. Each time the wrong values are left out."""
LLAMA_KEYS = ("llama", "context", "threads")
"""Keys of `endpoint` that `--endpoint` removes, since they belong to the job's own model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSpec:
    """A job spec and its mistakes. Wrong values are left out of the spec; None if too little is left."""

    spec: JobSpec | None
    mistakes: tuple[Mistake, ...]

    def sound(self) -> JobSpec:
        """The spec. Raises SpecError if there is any mistake."""
        if self.mistakes or self.spec is None:
            raise SpecError(self.mistakes)
        return self.spec


def load_spec(
    file: Path,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str],
    endpoint: str | None = None,
    output: Path | None = None,
) -> JobSpec:
    """The job spec in `file`, as `check_spec` reads it. Raises SpecError with every mistake."""
    return check_spec(file, overrides=overrides, environment=environment, endpoint=endpoint, output=output).sound()


def check_spec(
    file: Path,
    *,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str],
    endpoint: str | None = None,
    output: Path | None = None,
) -> CheckedSpec:
    """The job spec in `file`, changed by the command line, and its mistakes. Raises SpecError if it holds no job.

    `overrides` are the KEY=VALUE of `--set`. `endpoint` replaces endpoint.base_url (or endpoint.llama) and `output`
    replaces output.path; the same rules hold for them. Relative paths in them start at the current folder. The run
    folder stays where the job file puts it.
    """
    if not is_utf8(str(placed(file))):
        raise SpecError([Mistake(file=str(file), message="the path of a job file must be UTF-8 text; rename it")])
    draft = _read(file)
    expand(draft)
    override(draft, overrides)
    substitute(draft, environment)
    if endpoint is not None:
        _put_endpoint(draft, endpoint)
    return _checked(draft, placed(file), output)


def load_endpoint(base_url: str) -> EndpointSpec:
    """The endpoint that `--endpoint` names for a command without a job. Raises SpecError, as for a job's endpoint."""
    return load_default_spec(base_url).endpoint


def load_default_spec(base_url: str | None = None) -> JobSpec:
    """The spec of a job without rows, with default values except for the endpoint; None for OpenRouter.

    Raises SpecError.
    """
    nothing = Origin(file=ENDPOINT)
    draft = Draft(ENDPOINT, {"input": {"path": "none"}}, dict.fromkeys([(), ("input",), ("input", "path")], nothing))
    if base_url is not None:
        _put_endpoint(draft, base_url)
    return _checked(draft, placed(Path("none.yaml"))).sound()


def _checked(draft: Draft, place: Path, output: Path | None = None) -> CheckedSpec:
    """The spec from a draft, and every mistake. `place` is the absolute path of the job file."""
    take_out_keys(draft)
    load_answer_schema(draft, place.parent)
    check_labels(draft)
    _reread_variables(draft, place)
    complete(draft, place, home())
    if output is not None:
        _put_output(draft, output)
    spec = _validate(draft, place)
    if spec is not None:
        _look_for_weights(draft, spec)
        check_rules(draft, spec)
    return CheckedSpec(spec=spec, mistakes=tuple(sorted(draft.mistakes, key=_reading_order)))


def _reading_order(mistake: Mistake) -> tuple[bool, str, int]:
    """Sorts mistakes: first all files, each from top to bottom, then the command line."""
    return mistake.file in COMMAND_LINE, mistake.file or "", mistake.line or 0


def _put_endpoint(draft: Draft, value: str) -> None:
    """Replaces the job's endpoint by that of `--endpoint`. The path in `llama:FILE` starts at the current folder."""
    word, colon, file = value.partition(":")
    for key in LLAMA_KEYS:
        draft.remove(("endpoint", key))
    if word != LLAMA or not colon:
        put_option(draft, ("endpoint", "base_url"), value, ENDPOINT)
        return
    put_option(draft, ("endpoint", "base_url"), LLAMA, ENDPOINT)
    put_option(draft, ("endpoint", "llama"), _seen_from_here(Path(file)), ENDPOINT)


def _seen_from_here(path: Path) -> str:
    """The absolute path of a file that an option names."""
    return str(placed(Path(os.path.expanduser(path))))  # noqa: PTH111  (never raises)


def _put_output(draft: Draft, output: Path) -> None:
    """Replaces the job's output by that of `--output`. `complete` has derived the run folder from the job's own."""
    if isinstance(draft.get("output"), dict):
        put_option(draft, ("output", "path"), _seen_from_here(output), OUTPUT)
        take_out_keys(draft)


def _read(file: Path) -> Draft:
    """The content of the job file, with the mistakes of its YAML. Raises SpecError if nothing can be read from it."""
    text = read_text(file, str(file))
    if isinstance(text, Mistake):
        raise SpecError([wrong_job_file(file) or text])
    read = parse_yaml(text, str(file))
    if read.data is None and not read.mistakes:
        raise SpecError([Mistake(file=str(file), line=1, message="the file is empty")])
    if not isinstance(read.data, dict):
        message = f"a job file is a mapping of keys such as `input: rows.jsonl`, not {shape(read.data)}"
        raise SpecError(read.mistakes or [Mistake(file=str(file), line=1, message=message)])
    draft = Draft(str(file), read.data, read.origins)
    for mistake in read.mistakes:
        draft.accept(mistake)
    return draft


def _validate(draft: Draft, place: Path) -> JobSpec | None:
    """The typed spec. Wrong values are blamed and left out, so that the rules can be tried on the rest."""
    for _ in range(MAX_PASSES):
        try:
            return _typed(draft, place)
        except ValidationError as error:
            for path in blame_all(draft, error):
                _leave_out(draft, path)
            complete(draft, place, home())
    return None


def _typed(draft: Draft, place: Path) -> JobSpec:
    return JobSpec.model_validate_json(json.dumps(draft.data), context=(place, *draft.sources))


def _reread_variables(draft: Draft, place: Path) -> None:
    """Reads wrong values from the environment in the other way: text as a number, a number as text."""
    try:
        _typed(draft, place)
    except ValidationError as error:
        for path in wrong_paths(draft, error):
            reread(draft, path)


def _leave_out(draft: Draft, path: KeyPath) -> None:
    """Removes a wrong value, or the whole list around it. The required input is replaced by a placeholder."""
    within = next((index for index, part in enumerate(path) if isinstance(part, int)), len(path))
    draft.remove(path[:within])
    if path[0] == "input" and not draft.get("input", "path"):
        draft.data["input"] = {"path": ["missing"]}


def _look_for_weights(draft: Draft, spec: JobSpec) -> None:
    """Blames `endpoint.llama` if there is no such file."""
    file = spec.endpoint.llama
    if file is not None and not Path(file).is_file():
        draft.blame(("endpoint", "llama"), f"there is no file {file}")
