"""Train the network that tells main content from the rest of a page, and measure it by cross-validation over sites.

`python scripts/train_extractor.py WARC GOLD --teacher teacher.json` trains on pages for which people marked a few
segments that must be in the text (`with`) and must not (`without`). Blocks that nobody marked are learned, with less
weight, from what trafilatura takes for content (default, precise, and recall mode, averaged); its answers are cached in
the file named by --teacher. `--folds 5` prints precision, recall and F1 on sites that were not trained on;
`--write` trains on all pages and writes the weights.
"""

import argparse
import json
import random
import re
import zlib
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from resiliparse.parse.html import HTMLTree
from torch import nn
from torch.nn import functional as F

from libertas.gather import content
from libertas.gather.blocks import without_programs
from libertas.gather.features import BEGINNING, LONG, Features, Lexicon, word_keys
from libertas.gather.normalize import decode
from libertas.gather.page import Parsed, parsed
from libertas.gather.warc import Record, records
from libertas.lineage.fingerprint import digest

HIDDEN_UNITS, TAPS, DROPOUT, FEATURE_DROPOUT = 32, 5, 0.2, 0.05
EPOCHS, BATCH, RATE, DECAY, MOST_BLOCKS = 12, 16, 3e-3, 1e-2, 800
MARKED = 6.0
"""Weight of a block that a person marked; the other blocks of a page share out a weight of sqrt(blocks)."""
TEACHER_WEIGHTS = (0.5, 0.3, 0.2)
LEAST_SITES = {"names": 5, "words": 8}
"""A name or word counts when it was seen on so many sites."""
PRIOR = 4.0
MOST_ODDS = 3.0


class Page:
    """A page with its labels."""

    def __init__(self, url: str, source: bytes, charset: str | None, gold: dict, teacher: list[str]) -> None:
        """Read the page and find what was marked in it."""
        self.url, self.gold = url, gold
        self.site = site_of(url)
        self.page: Parsed = parsed(HTMLTree.parse(decode(without_programs(source), charset, html=True)))
        self.texts = [squeezed(t) for t in self.page.blocks.text]
        self.soft = soft_labels(self.texts, teacher)
        self.marked = marked_labels(self.texts, gold, self.soft)
        self.label = np.where(self.marked >= 0, self.marked, self.soft).astype(np.float32)


def squeezed(text: str) -> str:
    """The text as segments are compared: entities resolved, white space collapsed."""
    text = text.replace("\ue00a", " ").replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">")
    return " ".join(text.replace("&amp;", "&").split())


def site_of(url: str) -> str:
    """The registered domain, roughly: pages of one site never stand on both sides of a fold."""
    parts = (urlsplit(url).hostname or url).split(".")
    second_level = (
        len(parts) > 2 and len(parts[-1]) == 2 and parts[-2] in {"co", "com", "org", "gov", "ac", "net", "or"}
    )
    return ".".join(parts[-3 if second_level else -2 :])


def soft_labels(texts: list[str], outputs: list[str]) -> np.ndarray:
    """How far the teacher takes each block for content: 0 to 1."""
    soft = np.zeros(len(texts), np.float32)
    for output, weight in zip(outputs, TEACHER_WEIGHTS, strict=True):
        whole, lines = squeezed(output), set()
        for line in output.split("\n"):
            line = squeezed(line).strip("|").strip().removeprefix("- ")
            lines |= {line, *(cell.strip() for cell in line.split(" | "))}
        soft += weight * np.array([t in lines or (len(t) >= 25 and t in whole) for t in texts], np.float32)
    return soft


def marked_labels(texts: list[str], gold: dict, soft: np.ndarray) -> np.ndarray:
    """1 and 0 where people marked a block, -1 elsewhere."""
    marked = np.full(len(texts), -1, np.int8)
    for segment in map(squeezed, gold["with"]):
        found = [i for i, t in enumerate(texts) if segment in t]
        found = found or [i for i, t in enumerate(texts) if len(t) > 3 and t in segment]
        sure = [i for i in found if soft[i] > 0] or sorted(found, key=lambda i: -len(texts[i]))[:1]
        marked[sure] = 1
    for segment in map(squeezed, [*gold["without"], *(gold.get("comments") or [])]):
        found = [i for i, t in enumerate(texts) if segment and segment in t and marked[i] != 1]
        found = found or [i for i, t in enumerate(texts) if len(t) > 3 and t in segment and marked[i] != 1]
        for i in found:
            if len(segment) > 0.15 * len(texts[i]) or soft[i] == 0:
                marked[i] = 0
    return marked


def read_pages(warc: Path, gold_file: Path, teacher_file: Path) -> list[Page]:
    """All pages that have marks."""
    gold = {row["url"].strip(): row for row in map(json.loads, gold_file.read_text().splitlines())}
    teacher = json.loads(teacher_file.read_text()) if teacher_file.exists() else {}
    found = [r for r in records(warc) if isinstance(r, Record) and r.uri.strip() in gold]
    for record in found:
        if record.uri.strip() not in teacher:
            teacher[record.uri.strip()] = teachers_answers(record.body)
    teacher_file.write_text(json.dumps(teacher))
    return [Page(r.uri.strip(), r.body, r.charset, gold[r.uri.strip()], teacher[r.uri.strip()]) for r in found]


def teachers_answers(body: bytes) -> list[str]:
    """Trafilatura's text in its three modes."""
    import trafilatura

    modes = ({}, {"favor_precision": True}, {"favor_recall": True})
    return [trafilatura.extract(body, include_comments=False, **mode) or "" for mode in modes]


def log_odds(share: dict, other: dict, sites: dict, least: int) -> dict:
    """Smoothed log odds for content of everything that enough sites have, against the mean."""
    mean = sum(share.values()) / (sum(share.values()) + sum(other.values()))
    return {
        key: float(
            np.clip(
                np.log((share[key] + PRIOR * mean) / (other[key] + PRIOR * (1 - mean))) - np.log(mean / (1 - mean)),
                -MOST_ODDS,
                MOST_ODDS,
            )
        )
        for key in sites
        if len(sites[key]) >= least
    }


def learned_evidence(pages: list[Page]) -> tuple[dict[int, float], ...]:
    """What names of elements and words of short blocks say for main content."""
    tables = {kind: (defaultdict(float), defaultdict(float), defaultdict(set)) for kind in ("names", "words")}
    for page in pages:
        blocks, label = page.page.blocks, page.label
        if not blocks.text:
            continue
        size = np.minimum([len(t) for t in blocks.text], 300).astype(np.float64)
        good, every = np.concatenate([[0], np.cumsum(label * size)]), np.concatenate([[0], np.cumsum(size)])
        seen: dict[str, dict] = {"names": defaultdict(list), "words": defaultdict(list)}
        spans = list(zip(blocks.c_names, blocks.c_first, blocks.c_last, strict=True))
        spans += [(a, i, i + 1) for i, a in enumerate(blocks.names)]
        for attributes, first, last in spans:
            if attributes and last > first:
                for part in set(word_keys(attributes[:BEGINNING])[0].tolist()):
                    seen["names"][part].append((good[last] - good[first]) / (every[last] - every[first]))
        for text, y in zip(blocks.text, label, strict=True):
            keys = set(word_keys(text[:BEGINNING])[0].tolist())
            if len(keys) <= LONG // 2:
                for key in keys:
                    seen["words"][key].append(float(y))
        for kind, values in seen.items():
            share, other, sites = tables[kind]
            for key, ys in values.items():
                y = sum(ys) / len(ys)
                share[key], other[key] = share[key] + y, other[key] + 1 - y
                sites[key].add(page.site)
    return tuple(log_odds(*tables[kind], LEAST_SITES[kind]) for kind in ("names", "words"))


class Net(nn.Module):
    """The network of `content.py`, to be trained."""

    def __init__(self, features: int) -> None:
        """A fresh network for so many features of a block."""
        super().__init__()
        h = HIDDEN_UNITS
        self.enter = nn.Linear(features, h)
        self.near = nn.Conv1d(h, h, TAPS, padding=TAPS // 2)
        self.far = nn.Conv1d(h, h, TAPS, padding=TAPS // 2 * 2, dilation=2)
        self.page = nn.Linear(2 * h, h)
        self.leave = nn.Linear(h, 1)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits (pages, blocks) of features (pages, blocks, features)."""
        m = mask[..., None]
        z = self.dropout(F.relu(self.enter(x)) * m)
        z = z + F.relu(self.near(z.transpose(1, 2)).transpose(1, 2)) * m
        mean, most = z.sum(1) / mask.sum(1, keepdim=True), (z - 1e4 * (1 - m)).max(1).values
        z = self.dropout(z + self.page(torch.cat([mean, most], -1))[:, None] * m)
        z = z + F.relu(self.far(z.transpose(1, 2)).transpose(1, 2)) * m
        return self.leave(z)[..., 0]


def trained(pages: list[Page], seed: int) -> dict[str, np.ndarray]:
    """Weights, as `content.Network` takes them."""
    lexicons = {}
    for kind, found in zip(("names", "words"), learned_evidence(pages), strict=True):
        keys = np.array(sorted(found), np.uint64)
        lexicons |= {kind: keys, f"{kind}_odds": np.array([found[int(k)] for k in keys], np.float16)}
    extractor = Features(
        *(Lexicon(lexicons[kind], lexicons[f"{kind}_odds"].astype(np.float32)) for kind in ("names", "words"))
    )
    pages = [p for p in pages if p.texts]
    rows = [extractor.of(p.page.blocks, p.page.title) for p in pages]
    every = np.concatenate(rows)
    mean, scale = every.mean(0).astype(np.float16), (1 / (every.std(0) + 1e-3)).astype(np.float16)
    rows = [
        np.clip((x - mean.astype(np.float32)) * scale.astype(np.float32), -content.CLIP, content.CLIP) for x in rows
    ]
    net = fitted(rows, pages, seed)
    half = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    weights = {
        "in_w": half["enter.weight"].T,
        "in_b": half["enter.bias"],
        "near_w": half["near.weight"].transpose(2, 1, 0),
        "near_b": half["near.bias"],
        "page_w": half["page.weight"].T,
        "page_b": half["page.bias"],
        "far_w": half["far.weight"].transpose(2, 1, 0),
        "far_b": half["far.bias"],
        "out_w": half["leave.weight"].T,
        "out_b": half["leave.bias"],
        "mean": mean,
        "scale": scale,
    }
    weights = {name: value.astype(np.float16) for name, value in weights.items()}
    return weights | lexicons


def fitted(rows: list[np.ndarray], pages: list[Page], seed: int) -> Net:
    """The network after all epochs."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    draw = random.Random(seed)
    net = Net(rows[0].shape[1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * (len(rows) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    for _ in range(EPOCHS):
        order = draw.sample(range(len(rows)), len(rows))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            n = min(max(len(rows[i]) for i in chosen), MOST_BLOCKS)
            x, mask, y, weight = torch.zeros(len(chosen), n, rows[0].shape[1]), *torch.zeros(3, len(chosen), n)
            for r, i in enumerate(chosen):
                k = min(len(rows[i]), n)
                cut = slice(offset := draw.randrange(len(rows[i]) - k + 1), offset + k)
                x[r, :k], mask[r, :k] = torch.from_numpy(rows[i][cut]), 1
                y[r, :k] = torch.from_numpy(pages[i].label[cut])
                weight[r, :k] = torch.from_numpy(np.where(pages[i].marked[cut] >= 0, MARKED, 1 / np.sqrt(k)))
            x = x * (torch.rand(len(chosen), 1, x.shape[2]) >= FEATURE_DROPOUT)
            loss = F.binary_cross_entropy_with_logits(net(x, mask), y, weight=weight, reduction="sum") / len(chosen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def scores(pages: list[Page], kept: list[np.ndarray]) -> tuple[float, float, float]:
    """Precision, recall and F1 over marked segments, as trafilatura's evaluation counts them."""
    right = wrong = missed = 0
    for page, keep in zip(pages, kept, strict=True):
        text = squeezed("\n".join(t for t, k in zip(page.texts, keep, strict=True) if k))
        found = [squeezed(s) in text for s in page.gold["with"]]
        right, missed = right + sum(found), missed + len(found) - sum(found)
        wrong += sum(squeezed(s) in text for s in page.gold["without"])
    precision, recall = right / (right + wrong), right / (right + missed)
    return precision, recall, 2 * precision * recall / (precision + recall)


def cross_validated(pages: list[Page], folds: int, seed: int) -> list[np.ndarray]:
    """Probabilities of the blocks of each page, from a network that saw no page of its site."""
    found: dict[int, np.ndarray] = {}
    for fold in range(folds):
        inside = [zlib.crc32(p.site.encode()) % folds == fold for p in pages]
        net = content.Network(trained([p for p, i in zip(pages, inside, strict=True) if not i], seed))
        for number, (page, i) in enumerate(zip(pages, inside, strict=True)):
            if i:
                found[number] = net.probabilities(page.page.blocks, page.page.title)
    return [found[i] for i in range(len(pages))]


def main() -> None:
    """Cross-validate or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warc", type=Path)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    pages = read_pages(arguments.warc, arguments.gold, arguments.teacher)
    if arguments.folds:
        probabilities = cross_validated(pages, arguments.folds, arguments.seed)
        for threshold in (0.4, 0.45, 0.5, 0.55, 0.6):
            p, r, f = scores(pages, [q > threshold for q in probabilities])
            print(
                json.dumps({"threshold": threshold, "precision": round(p, 4), "recall": round(r, 4), "f1": round(f, 4)})
            )
    if arguments.write:
        content.WEIGHTS.parent.mkdir(exist_ok=True)
        np.savez_compressed(content.WEIGHTS, **trained(pages, arguments.seed))
        source = Path(content.__file__)
        hash_now = digest(content.WEIGHTS.read_bytes())
        source.write_text(re.sub(r'WEIGHTS_DIGEST = ".*"', f'WEIGHTS_DIGEST = "{hash_now}"', source.read_text()))
        print(json.dumps({"bytes": content.WEIGHTS.stat().st_size, "digest": hash_now}))


if __name__ == "__main__":
    main()
