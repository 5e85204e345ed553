"""What an emulated model says. It knows nothing: it chooses among what it is given and says what stands in the text.

Each model has its own hand: how often it errs, how it writes a label, whether it heeds formats. Errors depend on the
model and the text, so a model asked twice errs twice, and two models err apart.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from batchfree.emulator.chance import generator, share
from batchfree.emulator.emulated_model import EmulatedModel, JsonObject
from batchfree.emulator.fault_rules import ScriptedAnswer
from batchfree.emulator.faults.answers import VERDICTS
from batchfree.emulator.incoming_request import IncomingRequest
from batchfree.emulator.mind import choose_label as labels
from batchfree.emulator.mind import find as finding
from batchfree.emulator.mind import picture as pixels
from batchfree.emulator.mind.fill_schema import Form
from batchfree.emulator.mind.task import BULLETS, Task
from batchfree.emulator.mind.wordplay import worked_out
from batchfree.emulator.model_call import ModelCall
from batchfree.emulator.replies import ModelOutput

UNSEEN = "A picture that the emulation can't open: it fetches nothing."
STYLED = {"bare": "{}", "capital": "{}", "bold": "**{}**", "lead": "Answer: {}", "sentence": "{}."}


def speak(
    model: EmulatedModel, asked: IncomingRequest, occasion: ModelCall, scripted: Sequence[ScriptedAnswer] = ()
) -> ModelOutput:
    """The model's answer, before faults and before limits of length."""
    if model.nature == "classifier":
        return ModelOutput(content=VERDICTS[int(occasion.share("verdict") * len(VERDICTS))])
    mind = Mind(model=model, asked=asked, occasion=occasion, scripted=tuple(scripted))
    said = mind.say()
    return ModelOutput(
        content=said.content, tool_calls=said.tool_calls, rows=said.rows, codes=said.codes, reasoning=mind.thoughts()
    )


@dataclass(frozen=True)
class Mind:
    """One model before one request."""

    model: EmulatedModel
    asked: IncomingRequest
    occasion: ModelCall
    scripted: tuple[ScriptedAnswer, ...]

    def say(self) -> ModelOutput:
        """Tool calls, a pack, JSON, a label or prose: whatever is wanted, in this order."""
        task = Task(self.asked, self.asked.json_schema if self.model.json_skill == "enforces" else None)
        if self.asked.tools and self.asked.body.get("tool_choice") != "none" and not task.answers_tool:
            return self._call(task)
        forced = task.native is not None or (task.wants_json and self.model.json_skill == "mode")
        formal = task.rows or task.labels or task.schema is not None or task.wants_json
        if formal and not forced and self.occasion.share("follows") >= self.model.behaviour.follows:
            return ModelOutput(content=f"Well, I would say this is about the following. {finding.summary(task.text)}")
        if task.rows:
            return self._pack(task)
        text = self._seen(task.text)
        if task.schema is not None:
            value = self._fill(task.schema, task.schema, text)
            return self._json(task, value)
        if task.labels:
            return self._label(task, text)
        if task.wants_json:
            return self._json(task, {"answer": self._prose(text)})
        answer = self._script(text) or self._prose(text)
        return ModelOutput(content=answer, rows={task.text: answer})

    def thoughts(self) -> str | None:
        """The reasoning, of a model that thinks."""
        thinking = self.model.thinking
        if thinking == "no" or self.asked.thinking_off or (thinking == "optional" and not self.asked.thinking_on):
            return None
        count = len(self.asked.last_user.split())
        return f"The prompt has {count} words. I look for what is asked, compare it with the text, and answer briefly."

    @cached_property
    def pictures(self) -> str:
        """What the pictures of the request show."""
        seen = []
        for part in self.asked.parts:
            if part.get("type") == "image_url":
                url = part["image_url"]
                picture = pixels.from_url(url.get("url", "") if isinstance(url, dict) else str(url))
                seen.append(picture.describe() if picture else UNSEEN)
        return "\n".join(seen)

    def _seen(self, text: str) -> str:
        """The text, and what the pictures show."""
        return f"{text}\n{self.pictures}".strip() if self.pictures else text

    def _script(self, text: str) -> str | None:
        return next((known.answer for known in self.scripted if known.match.search(text)), None)

    def _choose(self, text: str, options: Sequence[str]) -> str:
        """One of the options; where there are pictures, they decide."""
        errs = share(self.occasion.seed, self.model.id, text, "errs")
        evidence = (
            self.pictures if self.pictures and any(labels.scores(self.pictures, options)) else BULLETS.sub("", text)
        )
        right = self._script(text) if self.scripted else None
        return labels.choose(evidence, options, right=right, errs=errs, accuracy=self.model.behaviour.accuracy)

    def _fill(self, schema: Any, root: JsonObject, text: str) -> Any:
        return Form(root, text, self._choose).fill(schema)

    def _label(self, task: Task, text: str) -> ModelOutput:
        label = self._choose(text, task.labels)
        style = self.model.behaviour.style
        written = STYLED[style].format(label.capitalize() if style == "capital" else label)
        return ModelOutput(content=written, rows={task.text: written})

    def _json(self, task: Task, value: Any) -> ModelOutput:
        written = json.dumps(value, ensure_ascii=False)
        if self.model.json_skill == "prose" and self.occasion.share("prose") < 0.5:
            return ModelOutput(content=f"Here is what I found:\n\n{written}", rows={task.text: written})
        return ModelOutput(content=written, rows={task.text: written})

    def _pack(self, task: Task) -> ModelOutput:
        """One JSON object with an answer for every row, each decided as if it stood alone."""
        rows: dict[str, str] = {}
        pairs = []
        for code, text in task.rows.items():
            if task.schema is not None:
                schema, root = task.schema_of(code)
                value = self._fill(schema, root, text)
            else:
                value = self._choose(text, task.labels) if task.labels else finding.summary(text)
            rows[text] = json.dumps(value, ensure_ascii=False)
            pairs.append(f"{json.dumps(code)}: {rows[text]}")
        content = "{" + ", ".join(pairs) + "}"
        if self.model.json_skill == "prose" and self.occasion.share("prose") < 0.5:
            content = f"Here are the answers:\n\n{content}"
        return ModelOutput(content=content, rows=rows, codes=task.rows)

    def _call(self, task: Task) -> ModelOutput:
        functions = [tool["function"] for tool in self.asked.tools if isinstance(tool.get("function"), dict)]
        choice = self.asked.body.get("tool_choice")
        wanted = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
        named = {function["name"]: function for function in functions}
        if not named:
            return ModelOutput(content=self._prose(task.text))
        described = {f"{name} {function.get('description', '')}": name for name, function in named.items()}
        name = wanted if wanted in named else described[self._choose(task.text, list(described))]
        schema = named[name].get("parameters") or {"type": "object", "properties": {}}
        arguments = json.dumps(self._fill(schema, schema, self._seen(task.text)), ensure_ascii=False)
        rng = generator(self.occasion.seed, self.occasion.about, "call")
        call = {
            "id": f"call_{rng.getrandbits(96):024x}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        return ModelOutput(tool_calls=(call,), rows={task.text: arguments})

    def _prose(self, text: str) -> str:
        """A short text that may be of use, and says what it is."""
        name = self.model.id.split("/")[-1]
        solution = None if self.pictures else worked_out(text)
        if solution is not None:
            return (solution, f"{solution}.", f"The answer is {solution}.")[min(self.model.behaviour.verbosity, 2)]
        answer = self.pictures or f"In short: {finding.summary(text)}"
        keys, names = finding.keywords(text), finding.names(text)
        if self.model.behaviour.verbosity >= 1 and keys:
            answer += f" Key words: {', '.join(keys)}."
        if self.model.behaviour.verbosity >= 2 and names:
            answer += f" Names: {', '.join(names[:5])}."
        return f"{answer} (Emulated answer of {name}: it chooses and copies, it knows nothing.)"
