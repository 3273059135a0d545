"""Every environment name that the project reads, with its meaning, limits and default.

Only composition roots import this package; everything else takes plain arguments. Nothing here
reads the environment: `load(os.environ)` is the composition root's word.
"""

from gex_pipeline.settings.discord import Settings
from gex_pipeline.settings.env_file import read_env_file, scan_env_file, with_env_file
from gex_pipeline.settings.origin import Mode, Origin, origin_of
from gex_pipeline.settings.problem import expected
from gex_pipeline.settings.reading import Reading, load, read
from gex_pipeline.settings.registry import PREFIXES, Setting, registry
from gex_pipeline.settings.secret import Secret
from gex_pipeline.settings.unknown import UnknownName, unknown_names

__all__ = [
    "PREFIXES",
    "Mode",
    "Origin",
    "Reading",
    "Secret",
    "Setting",
    "Settings",
    "UnknownName",
    "expected",
    "load",
    "origin_of",
    "read",
    "read_env_file",
    "registry",
    "scan_env_file",
    "unknown_names",
    "with_env_file",
]
