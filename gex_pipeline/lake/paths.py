"""Where the lake keeps what: names only, nothing is opened here."""

from pathlib import Path

import msgspec

DIGITS = 20
"""Of a part's name: its first seq, so that names sort as numbers do."""


class LakePaths(msgspec.Struct, frozen=True):
    """The folders below one root: data of a real lake, data/sim of a simulated one."""

    root: Path

    @property
    def lake(self) -> Path:
        """Folder of the tables."""
        return self.root / "lake"

    @property
    def intraday(self) -> Path:
        """Folder of the parts, by tape; always on a local file system."""
        return self.lake / "_intraday"

    @property
    def days(self) -> Path:
        """Folder of the manifests, by tape."""
        return self.lake / "_days"

    @property
    def derived(self) -> Path:
        """Folder of the records of derived files, by table."""
        return self.lake / "_derived"

    @property
    def catalog(self) -> Path:
        """The database file of views."""
        return self.root / "gex.duckdb"

    @property
    def catalog_lock(self) -> Path:
        """Held from before the files are listed until after the catalog is swapped."""
        return self.root / ".catalog.lock"

    @property
    def archive_lock(self) -> Path:
        """Held by the one archive step of this root."""
        return self.root / ".archive.lock"

    def tape(self, tape: str) -> Path:
        """Folder of one tape's parts."""
        return self.intraday / tape

    def part(self, tape: str, first: int) -> Path:
        """Folder of the part that starts at a seq."""
        return self.tape(tape) / f"{first:0{DIGITS}d}"

    def manifests(self, tape: str) -> Path:
        """Folder of one tape's manifests."""
        return self.days / tape

    def manifest(self, tape: str, first: int, last: int) -> Path:
        """The manifest of a finished day."""
        return self.manifests(tape) / f"{first:0{DIGITS}d}-{last:0{DIGITS}d}.json"

    @property
    def days_lock(self) -> Path:
        """Held by who finishes days or removes files."""
        return self.root / ".days.lock"

    def tapes(self) -> tuple[str, ...]:
        """Return the tapes that have parts or manifests, sorted."""
        found = {
            folder.name
            for top in (self.intraday, self.days)
            if top.is_dir()
            for folder in top.iterdir()
            if folder.is_dir() and not folder.name.startswith(".")
        }
        return tuple(sorted(found))
