"""The answers of an emulated model. It has no knowledge: it chooses among the offered labels and copies from the text.

Each model has its own behaviour: how often it errs, how it writes a label, whether it obeys formats. Errors depend on
the model and the text. So a model repeats its error when it is asked again, and two models err at different texts.
Every form of answer that a job can ask for is needed here: label, JSON, pack, tool call, text, answers about pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from batchfree.emulator.chance import generator, uniform
from batchfree.emulator.emulated_model import EmulatedModel, JsonObject
from batchfree.emulator.fault_rules import ScriptedAnswer
from batchfree.emulator.faults.answer_faults import VERDICTS
from batchfree.emulator.incoming_request import IncomingRequest
from batchfree.emulator.mind.assignment import BULLETS, Assignment
from batchfree.emulator.mind.choose_label import choose_label
from batchfree.emulator.mind.fill_schema import SchemaFiller, summary
from batchfree.emulator.mind.picture import describe_picture
from batchfree.emulator.mind.puzzles import solve_puzzle
from batchfree.emulator.model_call import ModelCall
from batchfree.emulator.replies import ModelOutput

STYLED = {"bare": "{}", "capital": "{}", "bold": "**{}**", "lead": "Answer: {}", "sentence": "{}."}
SOLVED = ("{}", "{}.", "The answer is {}.")
"""How the solution of a puzzle is written, by the model's verbosity."""


def speak(
    model: EmulatedModel, request: IncomingRequest, call: ModelCall, scripted: Sequence[ScriptedAnswer] = ()
) -> ModelOutput:
    """The model's answer, before faults and before limits of length."""
    if model.nature == "classifier":
        return ModelOutput(content=VERDICTS[int(call.uniform("verdict") * len(VERDICTS))])
    native = request.json_schema if model.json_skill == "enforces" else None
    mind = Mind(model, request, call, tuple(scripted), Assignment(request, native))
    return replace(mind.answer(), reasoning=mind.thoughts())


@dataclass(frozen=True)
class Mind:
    """One model before one request."""

    model: EmulatedModel
    request: IncomingRequest
    call: ModelCall
    scripted: tuple[ScriptedAnswer, ...]
    assignment: Assignment

    def answer(self) -> ModelOutput:
        """A tool call, a pack, JSON, a label or prose: the first one in this order that the request asks for."""
        task = self.assignment
        if task.wants_tool:
            return self._tool_call()
        is_forced = task.native is not None or (task.wants_json and self.model.json_skill == "mode")
        is_formal = task.rows or task.labels or task.schema is not None or task.wants_json
        if is_formal and not is_forced and self.call.uniform("follows") >= self.model.behaviour.follows:
            return ModelOutput(content=f"Well, I would say this is about the following. {summary(task.text)}")
        if task.rows:
            return self._pack()
        if task.schema is not None:
            return self._json(self._fill(task.schema, task.schema, self._seen))
        if task.labels:
            return self._label()
        if task.wants_json:
            return self._json({"answer": self._prose()})
        answer = self._script(self._seen) or self._prose()
        return ModelOutput(content=answer, rows={task.text: answer})

    def thoughts(self) -> str | None:
        """The reasoning of a model that thinks; None otherwise."""
        thinking = self.model.thinking
        is_off = self.request.thinking_off or (thinking == "optional" and not self.request.thinking_on)
        if thinking == "no" or is_off:
            return None
        count = len(self.request.last_user.split())
        return f"The prompt has {count} words. I look for what is asked, compare it with the text, and answer briefly."

    @cached_property
    def _seen(self) -> str:
        """The text, followed by a description of every picture."""
        urls = [part.get("image_url") for part in self.request.parts if part.get("type") == "image_url"]
        pictures = [describe_picture(str(url.get("url") if isinstance(url, dict) else url)) for url in urls]
        return "\n".join([self.assignment.text, *pictures])

    def _script(self, text: str) -> str | None:
        return next((known.answer for known in self.scripted if known.match.search(text)), None)

    def _choose(self, text: str, options: Sequence[str]) -> str:
        errs = uniform(self.call.seed, self.model.id, text, "errs")
        evidence, accuracy = BULLETS.sub("", text), self.model.behaviour.accuracy
        return choose_label(evidence, options, right=self._script(text), errs=errs, accuracy=accuracy)

    def _fill(self, schema: Any, root: JsonObject, text: str) -> Any:
        return SchemaFiller(root, text, self._choose).fill(schema)

    def _label(self) -> ModelOutput:
        label = self._choose(self._seen, self.assignment.labels)
        style = self.model.behaviour.style
        written = STYLED[style].format(label.capitalize() if style == "capital" else label)
        return ModelOutput(content=written, rows={self.assignment.text: written})

    def _json(self, value: Any) -> ModelOutput:
        written = json.dumps(value, ensure_ascii=False)
        return ModelOutput(content=self._wrapped(written), rows={self.assignment.text: written})

    def _wrapped(self, written: str) -> str:
        """The JSON. A model with the skill `prose` writes a sentence before it in half of its replies."""
        in_prose = self.model.json_skill == "prose" and self.call.uniform("prose") < 0.5
        return f"Here is what I found:\n\n{written}" if in_prose else written

    def _pack(self) -> ModelOutput:
        """One JSON object with an answer for every row. Each answer is the same as for the row alone."""
        task = self.assignment
        rows: dict[str, str] = {}
        for code, text in task.rows.items():
            value: Any = summary(text)
            if task.schema is not None:
                value = self._fill(*task.schema_of(code), text)
            elif task.labels:
                value = self._choose(text, task.labels)
            rows[text] = json.dumps(value, ensure_ascii=False)
        pairs = (f"{json.dumps(code)}: {rows[text]}" for code, text in task.rows.items())
        return ModelOutput(content=self._wrapped("{" + ", ".join(pairs) + "}"), rows=rows, codes=task.rows)

    def _tool_call(self) -> ModelOutput:
        """A call of the demanded tool, or of the tool that fits the text best."""
        functions = [tool["function"] for tool in self.request.tools if isinstance(tool.get("function"), dict)]
        named = {function["name"]: function for function in functions}
        if not named:
            return ModelOutput(content=self._prose())
        choice = self.request.body.get("tool_choice")
        name = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
        if name not in named:
            described = {f"{name} {function.get('description', '')}": name for name, function in named.items()}
            name = described[self._choose(self.assignment.text, list(described))]
        schema = named[name].get("parameters") or {"type": "object", "properties": {}}
        arguments = json.dumps(self._fill(schema, schema, self._seen), ensure_ascii=False)
        id = f"call_{generator(self.call.seed, self.call.about, 'call').getrandbits(96):024x}"
        tool_call = {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        return ModelOutput(tool_calls=(tool_call,), rows={self.assignment.text: arguments})

    def _prose(self) -> str:
        """The solution of a puzzle; for other texts a summary, and a note that the answer is emulated."""
        text = self.assignment.text
        solution = solve_puzzle(text)
        if solution is not None:
            return SOLVED[min(self.model.behaviour.verbosity, 2)].format(solution)
        gist = f"In short: {summary(text)}" if self._seen == text else self._seen.removeprefix(text).strip()
        name = self.model.id.split("/")[-1]
        return f"{gist} (Emulated answer of {name}: it chooses and copies, it knows nothing.)"
