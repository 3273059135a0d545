"""Make docs/settings.md, .env.example, the tables of docs/data.md and the example chain.

Run: python -m gex_pipeline_tests.generate_docs
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from gex_pipeline.settings import Setting, expected, registry
from gex_pipeline_tests.data_page import with_tables
from gex_pipeline_tests.synthetic import quote_table, synthetic_chain

ROOT: Final = Path(__file__).parents[1]

FAMILIES: Final = {
    "GEX_": "The pipeline",
    "GEX_FEED_": "The Discord feed",
    "DISCORD_": "Discord",
    "SCHWAB_": "Schwab",
    "TASTYTRADE_": "TastyTrade",
    "GEXBOT_": "gexbot",
    "SIERRA_": "Sierra Chart",
    "CBOE_": "Cboe",
}

INTRODUCTION: Final = """\
# Settings

Every environment variable that the project reads. They come from the environment or from a file
`.env` in the working folder; where both name one, the environment wins. An empty value means unset.
Nothing ever writes `.env`. `gex doctor` shows all values in use, their source and every problem;
a name with one of these prefixes that is not listed here is a mistake, and is told.

Lists are separated by commas. Secrets are never shown.

This file is made from the declarations in `gex_pipeline/settings`:
`python -m gex_pipeline_tests.generate_docs`.
"""

EXAMPLE_INTRODUCTION: Final = """\
# Copy this file to .env and take the mark off the lines that you need.
# Made from the declarations in gex_pipeline/settings; docs/settings.md says more.
"""


def documents() -> dict[Path, str]:
    """Return the text of each generated file by its path."""
    return {
        ROOT / "docs" / "settings.md": settings_page(),
        ROOT / ".env.example": env_example(),
        ROOT / "docs" / "data.md": data_page(),
        ROOT / "docs" / "examples" / "spx_synthetic.csv": example_chain(),
    }


def settings_page() -> str:
    """Return the page that lists every setting by family."""
    return "\n".join([INTRODUCTION, *_page_lines()]).rstrip("\n") + "\n"


def env_example() -> str:
    """Return a .env file with every setting commented out."""
    return "\n".join([EXAMPLE_INTRODUCTION, *_example_lines()]).rstrip("\n") + "\n"


def data_page() -> str:
    """Return docs/data.md with the part of it that is made from the tables made anew."""
    return with_tables((ROOT / "docs" / "data.md").read_text(encoding="utf-8"))


def example_chain() -> str:
    """Return a small synthetic chain as a Cboe quote table."""
    return quote_table(synthetic_chain(1600, 20), "S&P 500 INDEX (SYNTHETIC)")


def _families() -> Iterator[tuple[str, list[Setting]]]:
    settings = sorted(registry().values(), key=lambda each: list(FAMILIES).index(each.family))
    for prefix, family in groupby(settings, key=lambda each: each.family):
        yield f"{FAMILIES[prefix]} (`{prefix}*`)", list(family)


def _page_lines() -> Iterator[str]:
    for title, family in _families():
        yield f"## {title}\n"
        yield "| name | default | takes | meaning |"
        yield "|---|---|---|---|"
        yield from (_row(setting) for setting in family)
        yield ""


def _row(setting: Setting) -> str:
    default = "unset" if _unset(setting) else f"`{setting.shown(setting.default)}`"
    unit = f" ({setting.unit})" if setting.unit and setting.unit != "port" else ""
    secret = " Secret." if setting.secret else ""
    takes = expected(setting).replace("|", "\\|")
    return f"| `{setting.name}` | {default} | {takes}{unit} | {setting.meaning}{secret} |"


def _example_lines() -> Iterator[str]:
    for title, family in _families():
        yield f"# --- {title.replace('`', '')} ---\n"
        for setting in family:
            unit = f" Unit: {setting.unit}." if setting.unit and setting.unit != "port" else ""
            value = "" if _unset(setting) else setting.shown(setting.default)
            yield f"# {setting.meaning}{unit}{' Secret.' if setting.secret else ''}"
            yield f"#{setting.name}={value}\n"


def _unset(setting: Setting) -> bool:
    return setting.default is None or setting.default == ()


def main() -> None:
    """Write the files."""
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
