import pytest

from replyx_db_agent.core.blocks import edited_blocks, merge


def fresh(first="one\n", second="two\n"):
    return (
        "# Title\n\n"
        f"<!-- replyx-db-agent:begin a -->\n{first}<!-- replyx-db-agent:end a -->\n\nbetween\n\n"
        f"<!-- replyx-db-agent:begin b -->\n{second}<!-- replyx-db-agent:end b -->\n\nafter\n"
    )


def merged(existing, new=None):
    return merge(existing, new or fresh(), hand_edits="Hand edits")


def test_a_new_document_is_the_fresh_one_with_its_digests():
    text = merged("")

    assert text.startswith("# Title\n\n<!-- replyx-db-agent:begin a sha256=")
    assert text.endswith("after\n")
    assert edited_blocks(text) == ()


def test_merging_twice_changes_nothing():
    once = merged("")

    assert merged(once) == once


def test_only_the_changed_block_changes():
    before = merged("")
    after = merged(before, fresh(second="2\n"))

    changed = set(before.split("\n")) ^ set(after.split("\n"))
    assert {line.partition(" sha256")[0] for line in changed} == {
        "two",
        "2",
        "<!-- replyx-db-agent:begin b",
    }


@pytest.mark.parametrize(
    "words",
    [
        "слова людей\n",
        "no line end",
        "trailing   \n\n\n\n",
        "# Своё\r\n\r\n| a | b |\r\n",
        "```\nan open fence\n",
        "<!-- an open comment\n",
        "<!-- replyx-db-agent:begin a -->\nno end\n",
        "<!-- replyx-db-agent:end a -->\n",
        "<!-- replyx-db-agent:begin a\nhalf a marker\n",
        "\ufeff# BOM\n",
        "\\1 \\g<name> \x0c \u2028 \x85 end\n",
    ],
)
def test_what_people_wrote_is_kept_to_the_byte(words):
    once = merged(words)

    assert words in once
    assert merged(once) == once
    assert "one" in once and "two" in once
    twice = merged(once, fresh("1\n", "2\n"))
    assert words in twice
    assert "one\r\n" not in twice and "one\n" not in twice


def test_a_document_with_windows_line_ends_keeps_them():
    text = merged("# Title\r\n")

    assert "\n" not in text.replace("\r\n", "")
    assert merged(text) == text
    assert edited_blocks(text) == ()


def test_line_ends_changed_by_git_are_no_edit():
    checked_out = merged("").replace("\n", "\r\n")

    assert merged(checked_out) == checked_out
    assert "Hand edits" not in merged(checked_out, fresh("1\n"))


def test_a_hand_edit_is_kept_below_its_block_once():
    edited = merged("").replace("one\n", "one\nby hand | `x`\n```sql\nSELECT 1\n```\n")
    assert edited_blocks(edited) == ("a",)

    once = merged(edited, fresh("1\n"))

    assert edited_blocks(once) == ()
    assert once.count("## Hand edits (a)\n") == 1
    assert "````markdown\none\nby hand | `x`\n```sql\nSELECT 1\n```\n````\n" in once
    assert once.index("end a -->") < once.index("## Hand edits") < once.index("between")
    assert merged(once, fresh("1\n")) == once


def test_the_same_hand_edit_made_again_is_not_kept_twice():
    edited = merged("").replace("one\n", "mine\n")
    once = merged(edited)

    again = merged(once.replace("\none\n", "\nmine\n"))

    assert again == once


def test_another_hand_edit_is_kept_too():
    once = merged(merged("").replace("one\n", "mine\n"))
    twice = merged(once.replace("-->\none\n", "-->\nyours\n"))

    assert "```markdown\nmine\n```" in twice
    assert "```markdown\nyours\n```" in twice


def test_an_edit_that_says_what_the_fresh_block_says_is_none():
    edited = merged("").replace("one\n", "1\n")

    assert "Hand edits" not in merged(edited, fresh("1\n"))


def test_a_block_whose_digest_was_removed_counts_as_edited():
    text = "<!-- replyx-db-agent:begin a -->\nold\n<!-- replyx-db-agent:end a -->\n"

    assert "```markdown\nold\n```" in merged(text)


def test_markers_inside_a_hand_edit_do_not_come_back_as_blocks():
    inner = "<!-- replyx-db-agent:begin b -->\nx\n<!-- replyx-db-agent:end b -->\n"
    edited = merged("").replace("one\n", inner)

    once = merged(edited)

    assert merged(once) == once
    assert once.count("begin b sha256") == 1


def test_a_missing_block_comes_behind_the_one_before_it():
    text = merged("")
    start = text.index("<!-- replyx-db-agent:begin b")
    end = text.index("end b -->") + len("end b -->")
    without = text[:start] + text[end:]

    again = merged(without)

    assert again.index("end a -->") < again.index("begin b") < again.index("between")


def test_a_block_can_be_put_before_the_first_section():
    words = "# План\n\nвступление\n\n```\n## not a section\n```\n\n## 202511231550 x\n\nтекст\n"
    text = merge(words, fresh(), hand_edits="Hand edits", before_sections=True)

    assert text.index("## not a section") < text.index("begin a") < text.index("## 202511231550")
    assert text.endswith("\n## 202511231550 x\n\nтекст\n")
