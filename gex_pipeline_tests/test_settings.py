"""Settings: read from a mapping, bounded, told all at once, and secret where they must be."""

import copy
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gex_pipeline.errors import SettingsError
from gex_pipeline.settings import (
    PREFIXES,
    Secret,
    Settings,
    expected,
    load,
    read,
    read_env_file,
    registry,
    unknown_names,
    with_env_file,
)

CANARY = "canary-5f1c9"


def problems(**environ: str) -> tuple[str, ...]:
    """Return what is wrong with these variables."""
    return read(environ).problems


def test_empty_environment_gives_the_documented_defaults() -> None:
    """Without any variable the settings are the declared ones."""
    settings = load({})

    assert settings.gex_source == "auto"
    assert settings.gex_symbols == ("SPX", "SPY", "QQQ", "NDX")
    assert settings.schwab_symbols == ("MNQ", "MES", "SPY", "QQQ", "VIX")
    assert settings.gex_redis_url is None
    assert (settings.gex_port, settings.gex_dagster_port) == (8877, 3000)
    assert (settings.gex_redis_port, settings.gex_simulator_port) == (6390, 8878)
    assert (settings.gex_stale_after_s, settings.gex_unavailable_after_s) == (10.0, 300.0)
    assert settings.gex_engine_duty == 0.25
    assert settings.schwab_symbol_limit == 500
    assert settings.schwab_requests_per_minute == 110
    assert settings.schwab_access_interval_minutes == 25
    assert settings.schwab_refresh_interval_days == 6.0


def test_every_default_is_a_value_that_the_setting_takes() -> None:
    """Spelling a default out changes nothing."""
    spelled = {
        setting.name: setting.shown(setting.default)
        for setting in registry().values()
        if setting.default not in (None, ())
    }

    assert load(spelled) == Settings()


def test_every_name_has_a_prefix_of_ours_and_a_meaning() -> None:
    """A name outside the prefixes could never be told as unknown."""
    for setting in registry().values():
        assert setting.name.startswith(PREFIXES)
        assert setting.meaning.endswith(".")
        assert expected(setting)


@pytest.mark.parametrize("text", ["SPX,SPY", " SPX , SPY ", "SPX,,SPY,", "SPX, SPY"])
def test_lists_are_separated_by_commas(text: str) -> None:
    """Blanks and empty places in a list do not matter."""
    assert load({"GEX_SYMBOLS": text}).gex_symbols == ("SPX", "SPY")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, True) for text in ("1", "true", "True", "YES", "on")),
        *((text, False) for text in ("0", "false", "FALSE", "no", "Off")),
    ],
)
def test_switches_have_eight_spellings(text: str, value: bool) -> None:
    """1, true, yes, on and their opposites, in any case."""
    assert load({"SCHWAB_ENABLED": text}).schwab_enabled is value


def test_text_is_coerced_to_the_declared_kind() -> None:
    """Numbers, paths, choices and optional values come out typed."""
    settings = load(
        {
            "SCHWAB_SYMBOL_LIMIT": "1000",
            "GEX_ENGINE_DUTY": "0.5",
            "GEX_DATA_DIR": "/srv/gex",
            "GEX_SOURCE": "Schwab",
            "GEX_RETENTION_DAYS": "30",
            "GEX_RECORD": "off",
        }
    )

    assert settings.schwab_symbol_limit == 1000
    assert settings.gex_engine_duty == 0.5
    assert settings.gex_data_dir == Path("/srv/gex")
    assert settings.gex_source == "schwab"
    assert settings.gex_retention_days == 30
    assert settings.gex_record is False


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_empty_text_means_unset(text: str) -> None:
    """`NAME=` gives the default, also where an empty value would be wrong."""
    assert load({"SCHWAB_SYMBOL_LIMIT": text, "GEX_SYMBOLS": text}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "takes"),
    [
        ("SCHWAB_REQUESTS_PER_MINUTE", "501", "a whole number from 1 to 500"),
        ("SCHWAB_REQUESTS_PER_MINUTE", "0", "a whole number from 1 to 500"),
        ("SCHWAB_SYMBOL_LIMIT", "many", "a whole number from 1 to 5000"),
        ("SCHWAB_SYMBOL_LIMIT", "1.5", "a whole number"),
        ("GEX_PORT", "65536", "a whole number from 1 to 65535"),
        ("GEX_ENGINE_DUTY", "1.1", "a number above 0 to 1"),
        ("GEX_ENGINE_DUTY", "nan", "a number above 0 to 1"),
        ("GEX_STALE_AFTER_S", "inf", "a number above 0"),
        ("GEX_RETENTION_DAYS", "null", "a whole number from 1"),
        ("GEX_RETENTION_DAYS", "-1", "a whole number from 1"),
        ("GEX_SOURCE", "bloomberg", "one of auto, schwab, tastytrade, cboe, simulator"),
        ("GEX_SYMBOLS", " , ", "names, separated by commas"),
        ("SCHWAB_ENABLED", "maybe", "one of 1, true"),
        ("SCHWAB_REDIRECT_URI", "127.0.0.1:8182", "an http:// or https:// address"),
        ("DISCORD_GEX_FEED_CHANNEL_IDS", "12,general", "digits"),
        ("GEX_FEED_OPEN", "9:35", "a time of day like 09:35"),
        ("SCHWAB_TICK_CHANNEL", "a b", "a channel name"),
        ("GEX_FEED_CHANNEL_MAP", "ES_SPX", "pairs like NAME=VALUE"),
    ],
)
def test_a_wrong_value_is_told_with_name_limit_and_cure(name: str, text: str, takes: str) -> None:
    """The message names the variable, the value, what would be right, and what to do."""
    (message,) = problems(**{name: text})

    assert message.startswith(f"{name} is {text.strip()!r}; expected {takes}")
    assert f"Correct {name} in the environment or .env, or unset it" in message


def test_all_problems_come_in_one_error() -> None:
    """One start shows everything that is to be corrected."""
    with pytest.raises(SettingsError) as caught:
        load({"GEX_PORT": "x", "SCHWAB_SYMBOL_LIMIT": "0", "GEX_SOURCE": "?", "GEX_SYMBOLS": "A"})

    names = [problem.split()[0] for problem in caught.value.problems]
    assert names == ["GEX_SOURCE", "GEX_PORT", "SCHWAB_SYMBOL_LIMIT"]
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"GEX_STALE_AFTER_S": "300"}, ("GEX_UNAVAILABLE_AFTER_S", "GEX_STALE_AFTER_S")),
        ({"GEX_DISK_STOP_PERCENT": "10"}, ("GEX_DISK_STOP_PERCENT", "GEX_DISK_ALERT_PERCENT")),
        ({"GEX_PORT": "3000"}, ("GEX_PORT", "GEX_DAGSTER_PORT")),
        ({"SCHWAB_CLIENT_ID": CANARY}, ("SCHWAB_CLIENT_ID", "SCHWAB_CLIENT_SECRET")),
        ({"TASTYTRADE_CLIENT_SECRET": CANARY}, ("TASTYTRADE_CLIENT_ID",)),
    ],
)
def test_values_that_are_wrong_together_are_told(
    environ: dict[str, str], names: tuple[str, ...]
) -> None:
    """A rule between two settings names both."""
    (message,) = read(environ).problems

    assert all(name in message for name in names)
    assert CANARY not in message


def test_a_secret_never_shows() -> None:
    """Not in repr, str, format, settings, copies, JSON or pickles; only reveal() tells."""
    settings = load({"DISCORD_BOT_TOKEN": CANARY})
    secret = settings.discord_bot_token

    assert secret is not None
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY) != Secret("other")
    assert copy.deepcopy(settings) == settings
    shown = f"{secret} {secret!r} {secret!s:>10} {settings} {settings!r} {vars(type(secret))}"
    assert CANARY not in shown
    assert "***" in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)
    with pytest.raises(AttributeError):
        secret._text = ""


@pytest.mark.parametrize("name", [each.name for each in registry().values() if each.secret])
def test_an_invalid_secret_is_not_echoed(name: str) -> None:
    """The error of a bad secret holds neither the value nor a cause that does."""
    with pytest.raises(SettingsError) as caught:
        load({name: f"{CANARY} {CANARY}\n{CANARY}"})

    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert f"{name} is a value that is not shown" in str(caught.value)


@given(st.dictionaries(st.sampled_from(sorted(registry())), st.text(max_size=30)))
def test_no_text_breaks_the_reading(environ: dict[str, str]) -> None:
    """Any text gives settings or problems, never another exception."""
    reading = read(environ)

    assert isinstance(reading.settings, Settings)
    assert len(reading.problems) >= len(reading.invalid)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("GEX_X=1", "1"),
        ("  export GEX_X = 1  ", "1"),
        ("GEX_X=", ""),
        ("GEX_X=# nothing", ""),
        ("GEX_X=a b # why", "a b"),
        ("GEX_X=a#b", "a#b"),
        ("GEX_X='a # b'", "a # b"),
        ('GEX_X="a # b" # why', "a # b"),
        (r'GEX_X="a\"b\\c\nd"', 'a"b\\c\nd'),
        (r"GEX_X='a\n'", r"a\n"),
        ("GEX_X=a=b", "a=b"),
        ("\ufeffGEX_X=1\r", "1"),
        ("GEX_X=0\nGEX_X=1", "1"),
        ("# GEX_X=0\n\nGEX_X=1", "1"),
    ],
)
def test_env_file_lines(line: str, value: str) -> None:
    """Comments, quotes, escapes, export, byte-order mark and line ends of other systems."""
    assert read_env_file(line) == {"GEX_X": value}


def test_bad_lines_of_env_file_are_told_by_number() -> None:
    """All of them, and without their text, which may be a secret."""
    with pytest.raises(SettingsError) as caught:
        read_env_file(f'GEX_A=1\n{CANARY}\nGEX_B="{CANARY}\n1X={CANARY}\n')

    assert [problem.split()[1] for problem in caught.value.problems] == ["2", "3", "4"]
    assert CANARY not in str(caught.value)


def test_the_environment_wins_over_the_file() -> None:
    """But an empty variable is unset, so that the file's value holds."""
    file = read_env_file("GEX_PORT=1\nGEX_HOST=a\nGEX_SOURCE=cboe")

    merged = with_env_file({"GEX_PORT": "2", "GEX_HOST": ""}, file)

    assert merged == {"GEX_PORT": "2", "GEX_HOST": "a", "GEX_SOURCE": "cboe"}


def test_unknown_names_come_with_a_suggestion() -> None:
    """A mistyped name is found by its prefix; names of other programs are left alone."""
    found = unknown_names(
        ["SCHWAB_SYMBOL", "gex_source", "TASTYTRADE_STREAM_SYMBOLS", "GEX_ZZZZ", "PATH", "GEX_PORT"]
    )

    assert [(each.name, each.suggestion) for each in found] == [
        ("GEX_ZZZZ", None),
        ("SCHWAB_SYMBOL", "SCHWAB_SYMBOLS"),
        ("TASTYTRADE_STREAM_SYMBOLS", "TASTYTRADE_SYMBOL_LIST"),
        ("gex_source", "GEX_SOURCE"),
    ]
    assert "Did you mean SCHWAB_SYMBOLS?" in found[1].message()


def test_importing_settings_reads_no_environment() -> None:
    """The environment is what the caller passes, also where the process's own is wrong."""
    script = "from gex_pipeline.settings import load; print(load({}).gex_port)"

    done = subprocess.run(  # noqa: S603 # our own interpreter
        [sys.executable, "-c", script],
        env={"GEX_PORT": "nonsense"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "8877\n"


def test_a_home_folder_that_does_not_exist_is_a_problem() -> None:
    """`~nobody-of-that-name` names no folder: told as a problem, not a crash."""
    (problem,) = read({"GEX_DATA_DIR": "~no-such-user-here/data"}).problems

    assert "GEX_DATA_DIR" in problem
