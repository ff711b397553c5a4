"""Write a ledger as files for others: two Parquet tables, a dataset card, and its description in Croissant.

Croissant (https://docs.mlcommons.org/croissant) describes data sets to search engines and loaders. Every column is
described as in `lip.ledger.schema`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined

from lip.ledger.filesystem import write_whole, writing
from lip.ledger.ledger import Ledger
from lip.ledger.schema import VERSION

PAPER = "https://arxiv.org/abs/2410.24187"
"""The paper whose method the fits are of."""
_TERMS = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source "
    "subField transform"
)
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS.split()},
}
"""The context of Croissant 1.0."""


def export(ledger: Ledger, folder: Path, name: str, licence: str | None) -> list[Path]:
    """Write the files into a folder, and return their paths. A ledger without fits gives empty tables.

    `licence` is an SPDX name or a URL; None says nothing about it. Raises InputError.
    """
    tables = {"fits": ledger.fits(), "sweeps": ledger.sweeps()}
    files = {f"{table}.parquet": _to_parquet(rows) for table, rows in tables.items()}
    files["environments.json"] = json.dumps(ledger.environments(), indent=1).encode()
    about = {"name": name, "licence": licence, "date": datetime.now(UTC).date().isoformat(), "version": VERSION}
    files["croissant.json"] = json.dumps(_croissant(about, tables, files), indent=1).encode()
    files["README.md"] = _card(about, tables).encode()
    with writing(f"--out {folder}", "another folder"):
        for file, data in files.items():
            write_whole(folder / file, data)
    return [folder / file for file in files]


def _to_parquet(table: pa.Table) -> bytes:
    """Write a table for readers: described, with statistics, in groups of rows that are read apart."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _croissant(about: dict[str, Any], tables: dict[str, pa.Table], files: dict[str, bytes]) -> dict[str, Any]:
    described = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": about["name"],
        "description": "Fits of sparse deep image priors: specs, scores, training curves, layers and provenance.",
        "url": PAPER,
        "version": f"{about['version']}.0.0",
        "datePublished": about["date"],
        "citeAs": f"Chasing Better Deep Image Priors between Over- and Under-parameterization, TMLR 2023, {PAPER}",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"{name}.parquet",
                "name": f"{name}.parquet",
                "contentUrl": f"{name}.parquet",
                "encodingFormat": "application/x-parquet",
                "sha256": hashlib.sha256(files[f"{name}.parquet"]).hexdigest(),
            }
            for name in tables
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": name,
                "name": name,
                "field": [_field(name, column) for column in table.schema],
            }
            for name, table in tables.items()
        ],
    }
    return described | ({"license": about["licence"]} if about["licence"] else {})


def _field(table: str, column: pa.Field) -> dict[str, Any]:
    kind = column.type
    described = {
        "@type": "cr:Field",
        "@id": f"{table}/{column.name}",
        "name": column.name,
        "description": _meaning(column),
        "dataType": _data_type(kind.value_type if pa.types.is_list(kind) else kind),
        "source": {"fileObject": {"@id": f"{table}.parquet"}, "extract": {"column": column.name}},
    }
    return described | ({"repeated": True} if pa.types.is_list(kind) else {})


def _data_type(kind: pa.DataType) -> str:
    for is_one, name in (
        (pa.types.is_boolean, "Boolean"),
        (pa.types.is_integer, "Integer"),
        (pa.types.is_floating, "Float"),
        (pa.types.is_timestamp, "DateTime"),
    ):
        if is_one(kind):
            return f"sc:{name}"
    return "sc:Text"


def _meaning(column: pa.Field) -> str:
    return str(column.metadata[b"description"].decode())


def _card(about: dict[str, Any], tables: dict[str, pa.Table]) -> str:
    """Write the dataset card, with the front matter that the Hugging Face Hub reads."""
    template = Environment(
        loader=PackageLoader("analysis"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template("card.md")
    columns = {
        name: [(column.name, column.type, _meaning(column).replace("|", "\\|")) for column in table.schema]
        for name, table in tables.items()
    }
    counts = {name: len(table) for name, table in tables.items()}
    return template.render(**about, columns=columns, counts=counts, paper=PAPER)
