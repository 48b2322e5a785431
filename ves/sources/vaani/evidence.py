"""The data that a check of a repository reads: its listing, and the footer and one row group of one file of each part.

Everything is read when it is first needed. A failure is remembered like a value: whatever else needs the same data
fails in the same way, without another request to the hub.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from huggingface_hub.hf_api import RepoFile
from pyarrow.parquet import ParquetFile

from ves.config.corpus import VaaniConfig
from ves.sources.hub import download, footers
from ves.sources.hub.remote import RemoteFile
from ves.sources.vaani import listing


class Memo:
    """Values by name. Each is made once; an error in making it is raised again each time."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._failures: dict[str, Exception] = {}

    def get[T](self, name: str, make: Callable[[], T]) -> T:
        """The value of that name; the first call makes it with `make`."""
        if name in self._failures:
            raise self._failures[name]
        if name not in self._values:
            try:
                self._values[name] = make()
            except Exception as error:  # raised again for every later caller
                self._failures[name] = error
                raise
        return self._values[name]


class Sample:
    """One file of the repository: its footer, and columns of its smallest row group that is not empty."""

    def __init__(self, settings: VaaniConfig, file: RepoFile) -> None:
        self.remote = RemoteFile(settings.repository, settings.commit(), file.path, file.size)
        self._memo = Memo()

    @property
    def parquet(self) -> ParquetFile:
        """The footer. Raises ValueError that names the file."""
        with footers.naming(self.remote.name):
            return self._memo.get("footer", lambda: footers.open_footer(self.remote))

    @property
    def names(self) -> list[str]:
        """The names of its columns."""
        return self.parquet.schema_arrow.names

    def media(self, media: str) -> str:
        """The struct column `media` of bytes and path. Raises ValueError that names the file without one."""
        return footers.media_column(self.parquet, media, self.remote.name)

    def column(self, name: str) -> pl.Series:
        """One column (or `struct.field`) of the row group. Raises ValueError that names the file."""
        return self._memo.get(name, lambda: self._column(name))

    @property
    def group(self) -> int:
        """The number of the row group. Raises ValueError that names a file without rows."""
        metadata = self.parquet.metadata
        sizes = {group: metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)}
        nonempty = [group for group in sizes if metadata.row_group(group).num_rows > 0]
        if not nonempty:
            raise ValueError(f"{self.remote.name}: no rows")
        return min(nonempty, key=sizes.__getitem__)

    def _column(self, name: str) -> pl.Series:
        with footers.naming(self.remote.name):
            return self._read(name, [self.group])

    def _read(self, name: str, groups: list[int] | None = None) -> pl.Series:
        series = footers.read(self.remote, self.parquet, [name], groups).to_series()
        return series.struct.field(name.partition(".")[2]) if series.dtype == pl.Struct and "." in name else series

    def whole_column(self, name: str) -> pl.Series:
        """One column (or `struct.field`) of every row group. Raises ValueError that names the file."""
        with footers.naming(self.remote.name):
            return self._memo.get(f"whole {name}", lambda: self._read(name))


class NoFiles(ValueError):
    """A pattern of the configuration matches nothing, so that the content of its files stays unknown."""


class Evidence:
    """The chosen part of a repository at its commit; `folder` has the tables of its survey, if there was one."""

    def __init__(self, settings: VaaniConfig, spellings: pl.DataFrame, folder: Path) -> None:
        self.settings, self.spellings, self._folder = settings, spellings, folder
        self._memo = Memo()

    @property
    def files(self) -> list[RepoFile]:
        """The parquet files of the commit. Raises ves.sources.hub.download.HubError."""
        listed = self._memo.get("files", lambda: download.list_files(self.settings.repository, self.settings.commit()))
        return [file for file in listed if file.path.endswith(listing.SUFFIX)]

    def chosen(self, part: str) -> list[RepoFile]:
        """The files that match the patterns of a part, "audio" or "images". Raises NoFiles if a pattern matches
        none."""
        try:
            return listing.matching(self.files, getattr(self.settings, part), part)
        except ValueError as error:
            raise NoFiles(str(error)) from None

    def sample(self, part: str) -> Sample:
        """The smallest file of a part."""
        smallest = min(self.chosen(part), key=lambda file: (file.size, file.path))
        return self._memo.get(f"sample of {part}", lambda: Sample(self.settings, smallest))

    def picture_names(self) -> tuple[pl.Series, bool]:
        """Names of pictures, and whether these are all: from the survey if it is complete, else from the sample."""
        files = self.chosen("images")
        if all(self._surveyed(file) for file in files):
            return pl.concat([pl.read_parquet(self._table(file))["source_path"] for file in files]), True
        sample = self.sample("images")
        return sample.whole_column(f"{sample.media('image')}.path"), False

    def _table(self, file: RepoFile) -> Path:
        """The survey's table of a file of pictures."""
        return self._folder / f"{listing.shard_name(file.path, 'images')}{listing.SUFFIX}"

    def _surveyed(self, file: RepoFile) -> bool:
        table, listed = self._table(file), file.lfs and file.lfs.sha256
        return table.is_file() and pl.read_parquet_metadata(table).get("sha256") == listed
