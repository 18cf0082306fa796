"""Budgets are written into the user's file, and nothing else of it changes."""

import pytest

from server.config.edit import Uneditable, changed, path_of, written
from server.config.load import Folders
from server.config.world import World

FILE = """# mine
[providers.openai]   # the good one
priority = 2
daily_usd = 10.0 # enough
models = { allow = ["gpt-*"] }
[providers."my server"]
dialect = "openai_chat"

[[providers.alpha.models]]
id = "m1"
"""


def test_a_value_is_replaced_and_everything_else_stays():
    after = changed(FILE, ("providers", "openai"), "daily_usd", 12.5)
    assert after == FILE.replace("daily_usd = 10.0 #", "daily_usd = 12.5 #")


def test_a_missing_key_is_added_to_its_table():
    after = changed(FILE, ("providers", "my server"), "monthly_usd", 40.0)
    assert after == FILE.replace('server"]\n', 'server"]\nmonthly_usd = 40\n')


@pytest.mark.parametrize(
    ("text", "table"),
    [
        (FILE, ("providers", "alpha")),
        ("providers.openai = { daily_usd = 1 }\n", ("providers", "openai")),
        ("", ("budget",)),
    ],
)
def test_what_cannot_be_edited_safely_is_left_alone_and_said(text, table):
    with pytest.raises(Uneditable, match="daily_usd = 5"):
        changed(text, table, "daily_usd", 5.0)


def test_a_key_inside_a_string_is_no_key():
    text = '[providers.x]\nnote = """\ndaily_usd = 3\n"""\n'
    with pytest.raises(Uneditable):
        changed(text, ("providers", "x"), "daily_usd", 5.0)


def test_scopes_have_their_place():
    assert path_of("provider:x") == ("providers", "x")
    assert path_of("model:a/b") == ("budget", "models", "a/b")


def test_the_file_is_replaced_in_one_step(tmp_path):
    file = tmp_path / "plenum.toml"
    file.write_text(FILE)
    world = World({}, tmp_path / "elsewhere", Folders(tmp_path, tmp_path))
    assert written(world, {"provider:openai": ("day", 3.0)}) == file
    assert "daily_usd = 3 # enough" in file.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["plenum.toml"]
    with pytest.raises(Uneditable, match="plenum init"):
        written(World({}, tmp_path, Folders(tmp_path / "none", tmp_path)), {})
