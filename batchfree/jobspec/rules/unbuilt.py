"""Keys of the job spec whose feature this version does not have yet.

The default value is accepted, so that a job which writes out every default can be read. When a feature is built, its
line is deleted.
"""

from __future__ import annotations

from batchfree.core.chat import Json, JsonObject
from batchfree.jobspec.draft import Draft

UNBUILT: dict[str, Json] = {
    "votes": 1,
    "pilot": None,
    "consensus": "dawid-skene",
    "evaluate": None,
}
"""Key → its default value, the only one that is accepted."""


def take_out_unbuilt(draft: Draft) -> None:
    """Blames every key that asks for a missing feature, and removes these keys from the data."""
    for key, harmless in UNBUILT.items():
        if key not in draft.data:
            continue
        value = draft.data.pop(key)
        if value != harmless or isinstance(value, bool):
            draft.blame((key,), f"this version of batchfree does not have `{key}` yet; leave the key out")


def unbuilt_schema() -> JsonObject:
    """The JSON Schema of these keys, for editors."""
    description = "Not in this version of batchfree yet; only this value is taken."
    return {key: {"const": harmless, "description": description} for key, harmless in UNBUILT.items()}
