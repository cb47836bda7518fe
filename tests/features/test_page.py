"""The page about the features says what the catalogue says."""

from pathlib import Path

from foldsmith.features.page import page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_page_is_that_of_the_catalogue() -> None:
    again = "run python -m foldsmith.features.page > docs/features.md"
    assert PAGE.read_text(encoding="utf-8") == page(), again
