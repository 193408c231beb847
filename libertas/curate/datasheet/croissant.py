"""Croissant 1.1 (MLCommons): the dataset's files and fields as JSON-LD that dataset search and loaders understand."""

import hashlib
from collections.abc import Mapping
from os.path import relpath
from pathlib import Path
from typing import Any

from libertas.corpus import Corpus
from libertas.engine import map_ordered
from libertas.terminal import progress

CROISSANT = "http://mlcommons.org/croissant/1.1"
CODE = "code"
"""What `meta.language` says of program source, which is no language of people."""
RESPONSIBLE_AI = "http://mlcommons.org/croissant/RAI/1.0"
SPDX = "https://spdx.org/licenses/"
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The names that Croissant 1.1 defines, as its specification gives them."""
FORMATS = ["application/jsonlines", "application/zstd"]
"""JSON lines, and the compression around them."""


def _of_meta(name: str) -> dict[str, Any]:
    return {"transform": {"jsonPath": f"$.{name}"}}


FIELDS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("text", "text", {}, "The text of the document."),
    ("id", "meta", _of_meta("id"), "32 hexadecimal digits that better extraction does not change."),
    ("url", "meta", _of_meta("url"), "Where the document was."),
    ("component", "meta", _of_meta("component"), "The part of the mixture that it belongs to."),
    ("language", "meta", _of_meta("language"), "Language, as measured on the text."),
    ("date", "meta", _of_meta("date"), "When it was fetched."),
    ("license", "meta", _of_meta("license"), "SPDX identifier or address of the license that it names."),
)
"""Fields of a record: name, column, what to take out of it, meaning."""


def croissant(facts: Mapping[str, Any], parts: Mapping[str, Corpus], out: Path, workers: int) -> dict[str, Any]:
    """The metadata of a corpus.

    Args:
        facts: of the datasheet.
        parts: name -> part of the corpus.
        out: folder that the metadata will lie in; addresses of files are relative to it.
        workers: processes that hash files: Croissant wants SHA-256, our manifests hold BLAKE3.
    """
    files = [(name, shard) for name, corpus in parts.items() for shard in corpus.shards]
    hashes = []
    with progress("Hashing", len(files)) as bar:
        for found in map_ordered(_sha256, (shard for _, shard in files), workers):
            hashes.append(found)
            bar.advance(1, "files")
    objects = [_file(n, part, p, sha, out) for n, ((part, p), sha) in enumerate(zip(files, hashes, strict=True))]
    members = {name: [o["@id"] for o, (part, _) in zip(objects, files, strict=True) if part == name] for name in parts}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [CROISSANT, RESPONSIBLE_AI],
        **_about(facts),
        "distribution": [*objects, *(_file_set(name, ids) for name, ids in members.items() if len(ids) > 1)],
        "recordSet": [_records(name, ids) for name, ids in members.items()],
    }


def _about(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the dataset as a whole; what nobody said is left out."""
    about, whole = facts["about"], facts["composition"]["whole"]
    language = [row["name"] for row in facts["languages"]["top"] if row["name"] != CODE and row["name"][0] != "("]
    years = sorted(row["name"] for row in facts["dates"]["fetched"]["top"] if row["name"].isdigit())
    said = {
        "name": facts["name"],
        "description": about.get("description")
        or f"{whole['documents']:,} documents of {len(facts['composition']['components'])} components, "
        f"{whole['bytes']:,} bytes of text.",
        "version": about.get("version", "1.0.0"),
        "license": [_license(each) for each in _listed(about.get("license"))],
        "url": about.get("url"),
        "citeAs": about.get("citation"),
        "datePublished": about.get("published"),
        "creator": [{"@type": "sc:Person", "name": each} for each in _listed(about.get("creators"))],
        "keywords": _listed(about.get("keywords")),
        "inLanguage": language,
        "rai:dataCollectionTimeframe": [f"{years[0]}-01-01", f"{years[-1]}-12-31"] if years else [],
        "rai:dataBiases": _listed(facts["about_answers"].get("biases")),
        "rai:dataUseCases": _listed(facts["about_answers"].get("intended_uses")),
        "rai:personalSensitiveInformation": _listed(facts["about_answers"].get("personal")),
    }
    return {key: value for key, value in said.items() if value not in (None, "", [])}


def _listed(value: Any) -> list[str]:
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def _license(name: str) -> str:
    """An SPDX identifier as the address of its text."""
    return name if ":" in name or " " in name else SPDX + name


def _file(number: int, part: str, path: Path, sha256: str, out: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": f"shard-{number}",
        "name": path.name,
        "description": f"Shard {number} of {_set_name(part)}.",
        "contentUrl": Path(relpath(path.resolve(), out.resolve())).as_posix(),
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": FORMATS,
        "sha256": sha256,
    }


def _file_set(part: str, shards: list[str]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{_set_name(part)}-shards",
        "name": f"{_set_name(part)}-shards",
        "description": "All shards, which are read one after the other.",
        "containedIn": [{"@id": shard} for shard in shards],
        "includes": "*.jsonl.zst",
        "encodingFormat": FORMATS,
    }


def _set_name(part: str) -> str:
    return "documents" if part == "." else part


def _records(part: str, shards: list[str]) -> dict[str, Any]:
    name = _set_name(part)
    of = {"fileObject": {"@id": shards[0]}} if len(shards) == 1 else {"fileSet": {"@id": f"{name}-shards"}}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": "One document a line: a JSON object with `text` and `meta`.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{field}",
                "name": field,
                "description": meaning,
                "dataType": "sc:Text",
                "source": {**of, "extract": {"column": column}, **transform},
            }
            for field, column, transform, meaning in FIELDS
        ],
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
