"""Verifying the shards of tokens of a feature store: patch tokens, and class tokens where it has them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ves.base.checksums import file_sha256
from ves.store.features_layout import class_header, digests, identity, impossible, metadata
from ves.store.verify.arrays import FOREIGN, Fault, StoredArray, read_document, unlike


def verify_tokens(
    tokens: StoredArray, headers: list[bytes] | None, threads: int
) -> tuple[list[Fault], dict[Path, str]]:
    """Faults of every shard: its header, its index, the checksum of each row, numbers that no backbone can make.

    Also the sha256 of every shard without a fault, computed while the page cache still has it.
    """

    def check(number: int) -> tuple[list[Fault], str]:
        faults = tokens.check_file(number, lambda _, row: impossible(row), headers[number] if headers else None)
        return faults, "" if faults else file_sha256(tokens.files[number])

    with ThreadPoolExecutor(threads) as pool:
        checked = list(pool.map(check, range(len(tokens.files))))
    hashes = {file: digest for file, (faults, digest) in zip(tokens.files, checked, strict=True) if not faults}
    return _of_attributes(tokens, [fault for faults, _ in checked for fault in faults]), hashes


def _of_attributes(tokens: StoredArray, faults: list[Fault]) -> list[Fault]:
    """The same faults; but if every shard has the header of another store, the store's attributes have changed."""
    foreign = [fault for fault in faults if fault.what == FOREIGN]
    if len(foreign) < max(2, len(tokens.files)):
        return faults
    what = "not the attributes in the headers of its shards (unless the ids are wrong)"
    return [Fault(tokens.folder.parent / "zarr.json", what)] + [fault for fault in faults if fault not in foreign]


def verify_class_tokens(
    store: Path,
    attrs: dict[str, Any],
    tokens: StoredArray,
    ids: list[str] | None,
    manifest: dict[str, Any] | None,
    threads: int,
) -> list[Fault]:
    """Faults of the class tokens that the attributes promise, of which the manifest has the hash of each shard."""
    rows, patches, width = tokens.shape
    path = store / "class_token" / "zarr.json"
    document, faults = read_document(path)
    if document is None:
        return faults
    if unlike_ours := unlike(path, document, metadata(rows, patches, width, None, class_token=True)["class_token"]):
        return [*faults, *unlike_ours]
    array = StoredArray(store / "class_token", document)
    headers = None
    if ids is not None:
        kind, step = identity(attrs), array.chunk_rows
        headers = [class_header(kind, digests(ids[first : first + step])) for first in range(0, len(ids), step)]
    of_shards, hashes = verify_tokens(array, headers, threads)
    listed = [
        shard.get("class_token_sha256") for shard in (manifest or {}).get("shards", []) if isinstance(shard, dict)
    ]
    if manifest is not None and len(listed) == len(array.files):
        what = "not the content that the manifest lists, but that of another store"
        of_shards += [
            Fault(file, what) for file, said in zip(array.files, listed, strict=True) if hashes.get(file, said) != said
        ]
    return faults + of_shards + array.strays()
