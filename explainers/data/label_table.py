"""Tables of text that name an image and its label in their first two columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from explainers.errors import DataError
from explainers.storage.csv_text import unescaped
from explainers.storage.files import text_of
from explainers.storage.paths import not_there, shown

Class = TypeVar("Class")
FILE = "file"


def read_labels(
    table: Path, columns: tuple[str, str], class_of: Callable[[str], Class | None], labels: str
) -> dict[str, Class]:
    """The class of each image by its name, in the order of the file; empty lines and more columns do not count.

    Args:
        columns: what the first two are called, as the first line has it; class_of: from a label to its class, None
            where it is no label; labels: what a label may be, for the error.

    Raises:
        DataError: no such file, other columns, a label that is none of these, a name twice, or no image at all.
    """
    found: dict[str, Class] = {}
    try:
        with io.StringIO(text_of(table), newline="") as lines:
            reader = csv.reader(lines)
            header = [cell.strip() for cell in next(reader, [])]
            if tuple(header[:2]) != columns:
                raise DataError(
                    f"{shown(table)}, line 1: expected the columns {','.join(columns)}, found {','.join(header[:2])}"
                )
            for cells in reader:
                name, label = [unescaped(cell.strip()) for cell in [*cells, "", ""][:2]]
                if not name and not label:
                    continue
                where = f"{shown(table)}, line {reader.line_num}, column"
                if (own := class_of(label)) is None:
                    raise DataError(f"{where} {columns[1]}: expected {labels}, found {label!r}")
                if not name or name in found:
                    raise DataError(f"{where} {columns[0]}: expected a name that no other line has, found {name!r}")
                found[name] = own
    except FileNotFoundError as error:
        raise DataError(not_there(table, "file", f"expected a table with the columns {','.join(columns)}")) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{shown(table)} cannot be read as a table of text: {error}") from error
    if not found:
        raise DataError(f"{shown(table)} names no images")
    return found


def read_column(table: Path, name: str) -> dict[str, str]:
    """What a column says of each image, by the name in the column `file`; the table may have any others.

    Raises:
        DataError: no such file or column, or a name twice.
    """
    found: dict[str, str] = {}
    try:
        with io.StringIO(text_of(table), newline="") as lines:
            reader = csv.DictReader(lines)
            columns = [cell.strip() for cell in reader.fieldnames or ()]
            if FILE not in columns or name not in columns:
                missing = name if FILE in columns else FILE
                raise DataError(f"{shown(table)} has no column {missing!r}; there are {', '.join(columns) or 'none'}")
            reader.fieldnames = columns
            for row in reader:
                file = unescaped((row[FILE] or "").strip())
                if not file or file in found:
                    where = f"{shown(table)}, line {reader.line_num}, column {FILE}"
                    raise DataError(f"{where}: expected a name that no other line has, found {file!r}")
                found[file] = unescaped((row[name] or "").strip())
    except FileNotFoundError as error:
        raise DataError(not_there(table, "file", f"expected a table with the columns {FILE} and {name}")) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{shown(table)} cannot be read as a table of text: {error}") from error
    return found
