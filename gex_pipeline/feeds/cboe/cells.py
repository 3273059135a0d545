"""Lines and cells of a comma-separated text, quoted or not."""

import csv
import re

_LINE_END = re.compile(r"\r\n|\r|\n")


def split_lines(data: bytes) -> list[str]:
    """Return the text's lines: UTF-8 with or without a mark, ended by CRLF, LF or CR.

    The last is empty if the text ends in a line end. Other bytes become U+FFFD.
    """
    return _LINE_END.split(data.decode("utf-8-sig", errors="replace"))


def split_cells(line: str) -> list[str]:
    """Return one line's cells; a quote that is not closed ends with its line."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line]))
    except csv.Error:
        return line.split(",")
