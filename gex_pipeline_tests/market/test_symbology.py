"""Every spelling in, each source's spelling out."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.errors import SymbolError
from gex_pipeline.market.contracts import format_occ
from gex_pipeline.market.symbology import (
    CURRENCIES,
    FUTURES,
    INDEXES,
    VIEWS,
    calendar_of,
    kind_of,
    to_canonical,
    to_cboe,
    to_dxfeed,
    to_gexbot,
    to_schwab,
    to_sierra,
    to_url,
)
from gex_pipeline_tests.market.test_contracts import contracts

Spell = Callable[[str], str]

OPTION = "SPXW  251208C06880000"
SPELLINGS = {
    "SPX": ["SPX", "$SPX", "_SPX", "^SPX", "$SPX.X", " spx ", "\t$spx\n"],
    "VIX9D": ["VIX9D", "$VIX9D"],
    "SPY": ["SPY", "spy"],
    "BRK.B": ["BRK.B", "BRK/B", "brk/b"],
    "ES": ["ES", "es"],  # Eversource
    "CL": ["CL"],  # Colgate
    "/ES": ["/ES", "@ES", "/ES:XCME"],
    "/NQ": ["/NQ", "NQ", "@NQ", "/NQ:XCME", "nq"],
    "/MNQ": ["/MNQ", "MNQ", "/MNQ:XCME", "@mnq"],
    "/MES": ["MES"],
    "/M2K": ["M2K", "/M2K:XCME"],
    "/YM": ["YM", "/YM:XCBT"],
    "/NQZ26": ["/NQZ26", "@NQZ26", "/NQZ26:XCME", "NQZ26", "NQZ26_FUT_CME"],
    "/ESZ26": ["ESZ26", "/ESZ26"],  # no share has digits
    "/MNQM26": ["MNQM26_FUT_CME"],
    "NQ_NDX": ["NQ_NDX", "nq_ndx"],
    "ES_SPX": ["ES_SPX"],
    OPTION: [OPTION, "SPXW251208C06880000", ".SPXW251208C6880", f" {OPTION.lower()} "],
    "SPY   261120P00650500": [".SPY261120P650.5", "SPY261120P00650500", ".SPY261120P650.50"],
    "BABA2 251219C00100000": [".BABA2251219C100", "BABA2251219C00100000"],
    "F     251219C00000500": [".F251219C0.5", "F251219C00000500"],
    "./OGG26C4240": ["./OGG26C4240", ".@OGG26C4240", "./oGG26C4240", "./OGG26C4240:XCEC"],
    "./OZCZ23C565": ["./OZCZ23C565"],
    "./ESZ25C6000": ["./ESZ25C6000", "./ESZ25C6000:XCME"],
    "./6EZ25P1.155": ["./6EZ25P1.155", ".@6EZ25P1.155"],
    "EUR/USD": ["EUR/USD", "eur/usd", "EURUSD", "EUR@USD"],
    "USD/JPY": ["USDJPY", "USD/JPY"],
}


@pytest.mark.parametrize(
    ("text", "symbol"), [(text, symbol) for symbol, texts in SPELLINGS.items() for text in texts]
)
def test_every_spelling_is_understood(text: str, symbol: str) -> None:
    """Whatever a source, a setting or a URL writes, inside there is one symbol."""
    assert to_canonical(text) == symbol


@pytest.mark.parametrize(
    ("spell", "expected"),
    [
        (
            to_schwab,
            {"SPX": "$SPX", "SPY": "SPY", "/NQ": "/NQ", "/NQZ26": "/NQZ26", "BRK.B": "BRK/B"},
        ),
        (to_schwab, {OPTION: "SPXW  251208C06880000"}),
        (to_dxfeed, {"SPX": "SPX", "SPY": "SPY", "/NQ": "/NQ:XCME", "/NQZ26": "/NQZ26:XCME"}),
        (to_dxfeed, {"/YM": "/YM:XCBT", "/6EH27": "/6EH27:XCME", "/GC": "/GC:XCEC"}),
        (to_dxfeed, {OPTION: ".SPXW251208C6880", "SPY   261120P00650500": ".SPY261120P650.5"}),
        (to_dxfeed, {"F     251219C00000500": ".F251219C0.5"}),
        (
            to_dxfeed,
            {"F     251219C00010000": ".F251219C10", "F     251219C00002125": ".F251219C2.125"},
        ),
        (to_cboe, {"SPX": "_SPX", "SPY": "SPY", OPTION: "SPXW251208C06880000"}),
        (to_gexbot, {"SPX": "SPX", "SPY": "SPY", "NQ_NDX": "NQ_NDX"}),
        (to_sierra, {"/MNQM26": "MNQM26_FUT_CME"}),
        (to_schwab, {"./OGG26C4240": "./OGG26C4240", "EUR/USD": "EUR/USD"}),
        (to_dxfeed, {"EUR/USD": "EUR/USD"}),
        (to_url, {"./OGG26C4240": ".@OGG26C4240", "EUR/USD": "EUR@USD"}),
        (to_url, {"/NQ": "@NQ", "/NQZ26": "@NQZ26", "SPX": "SPX", OPTION: "SPXW251208C06880000"}),
    ],
)
def test_each_source_gets_its_own_spelling(spell: Spell, expected: dict[str, str]) -> None:
    """As the sources' documents and recorded messages have it."""
    assert {symbol: spell(symbol) for symbol in expected} == expected


@pytest.mark.parametrize(
    ("spell", "symbol"),
    [
        (to_schwab, "NQ_NDX"),
        (to_dxfeed, "NQ_NDX"),
        (to_cboe, "NQ_NDX"),
        (to_cboe, "/NQ"),
        (to_gexbot, "/NQ"),
        (to_gexbot, OPTION),
        (to_gexbot, "EUR/USD"),
        (to_gexbot, "./OGG26C4240"),
        (to_cboe, "EUR/USD"),
        (to_cboe, "./OGG26C4240"),
        (to_dxfeed, "./OGG26C4240"),  # read where the vendor tells it
        (to_sierra, "./OGG26C4240"),
        (to_sierra, "SPX"),
        (to_sierra, "/MNQ"),  # which month?
    ],
)
def test_what_a_source_lacks_is_an_error(spell: Spell, symbol: str) -> None:
    """No spelling is made up."""
    with pytest.raises(SymbolError):
        spell(symbol)


@pytest.mark.parametrize("spell", [to_schwab, to_dxfeed, to_cboe, to_gexbot, to_sierra, to_url])
def test_only_canonical_symbols_go_out(spell: Spell) -> None:
    """A source's own spelling is not taken for ours: the error names ours."""
    with pytest.raises(SymbolError, match="the canonical spelling, 'SPX'"):
        spell("$SPX")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        "@",
        "$",
        ".",
        "..",
        "../x",
        "/NQ/..",
        "SPX/../SPY",
        "tape:{SPX}",
        "SPX:x",
        "SPX SPY",
        "SPX\nSPY",
        "SPX\x00",
        "SPX*",
        "a;b",
        "%2e%2e",
        "/ESZ6",
        "/ES26",
        "/XYZ",
        "./ESZ5C6000",
        "./ESZ25X6000",
        "./ESZ25C",
        "./../ESZ25C6000",
        "/OGG26C4240",
        "./TOOLONGZ25C1",
        "EUR/XXX",
        "EUR/EUR",
        "EUR/USD/JPY",
        "EUR.USD",
        "$SPY",
        "^FOO",
        "_SPY",
        "TOOLONG",
        "AB_CD",
        "NQ_SPX",
        ".SPXW251308C6880",
        ".SPXW251208C0",
        ".SPXW251208C6880.1234",
        "/NQ:XNAS",
        "S\u00dfX",
        "\u017fPX",
        "\uff33PX",
        "SPX251208C0688000",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    """Allow-list: what is none of the known forms never becomes a key or a path."""
    with pytest.raises(SymbolError, match="Expected a share"):
        to_canonical(text)


@given(st.text(max_size=30))
def test_what_passes_is_harmless(text: str) -> None:
    """Any text: refused, or made of few characters, stable, and free of slashes in a URL."""
    try:
        symbol = to_canonical(text)
    except SymbolError:
        return
    assert re.fullmatch(r"(\.?/)?[A-Z0-9]+([._ /] *[A-Z0-9]+)?", symbol)
    assert to_canonical(symbol) == symbol
    assert re.fullmatch(r"(\.?@)?[A-Z0-9]+([._@][A-Z0-9]+)?", to_url(symbol))


_ON_FUTURE = r"\./[A-Z0-9]{1,4}[FGHJKMNQUVXZ][0-9]{2}[CP][0-9]{1,5}(\.[0-9])?"


@st.composite
def symbols(draw: st.DrawFn) -> str:
    """Any canonical symbol."""
    root = draw(st.sampled_from(sorted(FUTURES)))
    month = draw(st.from_regex(r"([FGHJKMNQUVXZ][0-9]{2})?", fullmatch=True))
    pair = draw(st.permutations(sorted(CURRENCIES)))[:2]
    share = draw(st.from_regex(r"[A-Z]{3,5}(\.[A-Z])?", fullmatch=True))
    return draw(
        st.sampled_from(
            [
                draw(st.sampled_from(sorted(INDEXES | VIEWS))),
                f"/{root}{month}",
                to_canonical(share),
                format_occ(draw(contracts())),
                draw(st.from_regex(_ON_FUTURE, fullmatch=True)),
                "/".join(pair),
            ]
        )
    )


@pytest.mark.parametrize("spell", [to_schwab, to_dxfeed, to_cboe, to_gexbot, to_sierra, to_url])
@given(symbol=symbols())
def test_round_trip(spell: Spell, symbol: str) -> None:
    """What a source calls a symbol comes back as that symbol."""
    try:
        text = spell(symbol)
    except SymbolError:
        return
    assert to_canonical(text) == symbol


@given(symbols())
def test_a_canonical_symbol_stays(symbol: str) -> None:
    """The canonical spelling is one of the spellings, and URLs take every symbol."""
    assert to_canonical(symbol) == symbol
    assert to_canonical(to_url(symbol)) == symbol


@pytest.mark.parametrize(
    ("symbol", "kind", "calendar"),
    [
        ("SPX", "index", "index"),
        ("SPY", "share", "equity"),
        ("BRK.B", "share", "equity"),
        ("/NQ", "future", "cme"),
        ("/NQZ26", "future", "cme"),
        ("NQ_NDX", "view", "index"),
        ("./OGG26C4240", "future_option", "cme"),
        ("EUR/USD", "forex", "cme"),
        (OPTION, "option", "index"),
        ("XSP   251208C00688000", "option", "index"),
        ("SPY   251208C00688000", "option", "equity"),
    ],
)
def test_kind_and_calendar(symbol: str, kind: str, calendar: str) -> None:
    """An option keeps the calendar of what it settles on."""
    assert (kind_of(symbol), calendar_of(symbol)) == (kind, calendar)
