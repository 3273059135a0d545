"""Reading the page as a person does, and waiting for what it will say."""

from typing import Any


def state(page: Any, wanted: str) -> None:
    """Wait until the page is in a state."""
    page.wait_for_selector(f"body[data-state={wanted}]")


def text(page: Any, selector: str) -> str:
    """Return what a reader sees there."""
    return " ".join(str(page.inner_text(selector)).split())


def shown(page: Any, selector: str, words: str) -> None:
    """Wait until something is to be read there."""
    page.wait_for_function(
        "([where, words]) => document.querySelector(where)?.innerText"
        ".replace(/\\s+/g, ' ').includes(words)",
        arg=[selector, words],
    )
