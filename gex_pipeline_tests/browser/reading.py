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


def drawn(page: Any, canvas: str, colours: list[str]) -> None:
    """Wait until a picture has all of these colours, each as "red,green,blue"."""
    page.wait_for_function(
        "([where, colours]) => { const c = document.querySelector(where);"
        " const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " const seen = new Set(); for (let i = 0; i < d.length; i += 4)"
        " seen.add(`${d[i]},${d[i + 1]},${d[i + 2]}`);"
        " return colours.every(each => seen.has(each)); }",
        arg=[canvas, colours],
    )
