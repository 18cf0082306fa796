"""What is wrong with a body, told as a person would: no value, no Python, the nearest name."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.complaints import complaints


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    strategy: str = ""


class TextPart(BaseModel):
    type: Literal["text"]


class ImagePart(BaseModel):
    type: Literal["image"]
    url: str


class Outer(BaseModel):
    inner: Inner | None = None
    names: list[str] = Field(default_factory=list[str], min_length=1)
    texts: Annotated[str, Field(min_length=1)] | list[str] = ""
    parts: list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] = Field(default_factory=list[Any])
    either: list[TextPart | ImagePart] = Field(default_factory=list[Any])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"inner": {"stratgy": "x"}}, [("inner.stratgy", "is not known (did you mean `strategy`?)")]),
        ({"inner": "canary"}, [("inner", "should be an object")]),
        ({"names": "canary"}, [("names", "should be a list")]),
        ({"names": []}, [("names", "should have at least 1 item")]),
        ({"texts": [1, "a"]}, [("texts.0", "should be a valid string")]),
        ({"texts": ""}, [("texts", "should have at least 1 character")]),
        ({"parts": [{"type": "canary"}]}, [("parts.0", "needs a `type` that is one of 'text', 'image'")]),
        ({"parts": [{}]}, [("parts.0", "needs a `type`")]),
        ({"parts": [{"type": "image"}]}, [("parts.0.url", "is missing")]),
        ({"either": [{"type": "canary", "url": "x"}]}, [("either.0.type", "should be 'text' or 'image'")]),
        ([], [("", "should be an object")]),
    ],
)
def test_a_fault_is_told_at_the_place_the_caller_wrote_it(given: Any, told: list[tuple[str, str]]) -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(given)
    assert complaints(caught.value, Outer, given) == told
