"""Tokens: exact like tiktoken, bounded by bytes, and no ranks in memory before they are needed."""

import hashlib
import inspect
import lzma
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.catalog import card, tokens
from providers.types import Image, Message, ModelCard, Request, Text, Tool, ToolCall, ToolResult

SENTENCES = (
    "Hello, world!",
    "def f(x):\n    return x ** 2  # square\n",
    "Привет, как дела? 你好，世界。 こんにちは 🙂",
    "<|endoftext|> is only text here",
    "1234567890 3.14159 it's we'll THEY'RE",
    "   \n\n\t  spaces\r\n",
    "",
)


def asking(text, **more):
    return Request((Message("user", (Text(text),)),), **more)


def raw_ranks():
    return lzma.decompress(Path(tokens.__file__).with_name(tokens.RANKS).read_bytes())


def test_the_ranks_are_the_ones_tiktoken_expects():
    from tiktoken_ext import openai_public

    digest = hashlib.sha256(raw_ranks()).hexdigest()
    assert digest in inspect.getsource(openai_public.o200k_base)


def test_our_encoding_is_tiktokens_own(tmp_path):
    """tiktoken itself, offline, with the same ranks in its cache under the name it looks for."""
    url = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    (tmp_path / hashlib.sha1(url.encode()).hexdigest()).write_bytes(raw_ranks())
    program = (
        "import json, sys, tiktoken; e = tiktoken.get_encoding('o200k_base');"
        "print(json.dumps([[e.encode_ordinary(t) for t in json.load(sys.stdin)], e._pat_str, e.n_vocab]))"
    )
    import json

    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(SENTENCES),
        env={"TIKTOKEN_CACHE_DIR": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    theirs, pattern, vocabulary = json.loads(done.stdout)
    ours = tokens.encoding()
    assert [ours.encode_ordinary(text) for text in SENTENCES] == theirs
    assert (tokens.PATTERN, ours.n_vocab) == (pattern, vocabulary)


def test_the_ranks_stay_out_of_memory_until_bytes_cannot_decide():
    program = """
from providers.catalog import card, tokens
from providers.types import Message, Request, Text
import sys
ask = lambda text: Request((Message("user", (Text(text),)),))
counter, luna = tokens.Counter(), card("openai", "gpt-6-luna")
counter.bound(ask("x" * 900_000), luna)
counter.estimate(ask("hello " * 1000), luna)
assert tokens.fits(ask("hello"), 8192, "gpt-4")
assert not tokens.loaded() and "tiktoken" not in sys.modules
assert tokens.fits(ask("hello " * 2000), 8192, "gpt-4")  # 12 KB: bytes leave doubt
assert tokens.loaded()
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])


@given(st.text(max_size=300), st.sampled_from(["gpt-4o", "claude-3-opus", "gemini-2.5-pro", "llama-3"]))
@settings(deadline=None, max_examples=60)
def test_bytes_bound_every_count(text, model):
    request = asking(text)
    assert tokens.exact_text(text) <= len(text.encode("utf-8", "surrogatepass"))
    assert tokens.tight_bound(request, model) <= tokens.upper_bound(request, model)


@given(st.text(alphabet=st.characters(codec=None), max_size=50))
@settings(deadline=None, max_examples=40)
def test_lone_surrogates_and_any_text_have_a_size(text):
    assert tokens.size(asking(text)).bound > 0


def test_a_long_text_is_sampled_within_a_tenth_of_the_truth():
    book = "".join(f"Chapter {i}. It was a bright cold day, and the clock struck {i % 12}.\n" for i in range(6000))
    assert len(book) > 300_000
    assert tokens.count_text(book) == pytest.approx(tokens.exact_text(book), rel=0.1)


def test_openai_prompts_are_counted_like_openai_reports_them():
    assert tokens.count(asking("Hello, world!"), "gpt-4o") == 4 + 4 + 3


@pytest.mark.parametrize(
    ("model", "typical"),
    [
        ("gpt-6-luna", 1.0),
        ("openai/gpt-4o", 1.0),
        ("anthropic/claude-opus-5.5", 1.44),
        ("claude-sonnet-4-6", 1.26),
        ("claude-opus-4-8", 1.44),
        ("claude-3-5-haiku-20241022", 1.18),
        ("gemini-2.5-pro", 1.13),
        ("command-a-03-2025", 1.52),
        ("meta-llama/Llama-3.3-70B-Instruct", 1.17),
        ("nobody-knows", 1.25),
    ],
)
def test_each_family_has_its_factor(model, typical):
    assert tokens.factor(model).typical == typical


def test_pictures_tools_schemas_and_tool_turns_count():
    plain = asking("look")
    picture = Request((Message("user", (Text("look"), Image("image/png", b"x"))),))
    tool = asking("look", tools=(Tool("f", "does it", {"type": "object"}),))
    schema = asking("look", schema={"type": "object", "properties": {"a": {"type": "string"}}})
    turns = Request(
        (
            *plain.messages,
            Message("assistant", (ToolCall("1", "f", '{"a": 1}'),)),
            Message("tool", (ToolResult("1", "done"),)),
        )
    )
    base = tokens.count(plain, "gpt-4o")
    assert tokens.count(picture, "gpt-4o") == base + 765
    for longer in (tool, schema, turns):
        assert tokens.count(longer, "gpt-4o") > base
        assert tokens.upper_bound(longer, "gpt-4o") > tokens.upper_bound(plain, "gpt-4o")


def test_the_measure_is_cautious_where_the_window_is_near():
    words = "word " * 7000
    small, large = ModelCard("claude-opus-5-5", context_window=8192), card("anthropic", "claude-opus-5-5")
    counter = tokens.Counter()
    request = asking(words)
    assert counter.estimate(request, small) > 8192
    assert counter.estimate(request, small) > counter.estimate(request, large)
    assert counter.estimate(request, large) <= counter.bound(request, large)


def test_a_prompt_that_cannot_fit_does_not_fit():
    assert not tokens.fits(asking("word " * 20_000), 8192, "gpt-4")


def test_forty_candidates_measure_one_request_once():
    from time import process_time

    counter = tokens.Counter()
    request = asking("lorem ipsum " * 80_000)
    cards = [card("openai", "gpt-6-luna")] * 40
    counter.estimate(request, cards[0])
    began = process_time()
    for candidate in cards:
        counter.estimate(request, candidate)
        counter.bound(request, candidate)
    assert process_time() - began < 0.05
