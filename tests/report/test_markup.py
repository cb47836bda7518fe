import pytest

from foldsmith.report.markup import Markup, flat, html, number, pairs, percent, section, table


def test_text_is_escaped_and_markup_is_not():
    assert html('<b a="1">&') == "&lt;b a=&quot;1&quot;&gt;&amp;"
    assert html(Markup("<b>")) == "<b>"
    assert "<i>" not in table(["<i>"], [["<i>"]], "<i>") + pairs({"<i>": "<i>"}) + section("<i>", "x")


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (1234.5, 2, "1,234.50"),
        (-0.5, 1, "−0.5"),
        (-0.00001, 2, "0.00"),
        (None, 2, "–"),
        (float("nan"), 2, "–"),
        (float("inf"), 2, "–"),
    ],
)
def test_numbers(value, digits, shown):
    assert number(value, digits) == shown


def test_signs_units_and_shares():
    assert number(0.5, 1, sign=True, unit="U<D") == "+0.5 U&lt;D"
    assert number(0.0, 1, sign=True) == "0.0"
    assert percent(0.123) == "12.3%"
    assert percent(None) == "–"


def test_values_of_every_kind():
    assert [html(value) for value in (True, 12345, 0.25, None, ["a", 1])] == [
        "yes",
        "12,345",
        "0.2500",
        "–",
        "a, 1",
    ]


def test_flat_and_empty_sections():
    assert flat({"a_b": {"c": 1}, "d": 2}) == {"a b: c": 1, "d": 2}
    assert section("title") == ""
