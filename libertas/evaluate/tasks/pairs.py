"""Pairs of sentences, of which a model finds one likelier: BLiMP and CrowS-Pairs. The whole sentences are compared."""

from pathlib import Path

from libertas.evaluate.item import Item, choice_item, placed
from libertas.evaluate.tasks.rows import Entries, Row, asked_for, csv_rows, items_from, json_rows


def read_blimp(path: Path) -> Entries:
    """BLiMP (Warstadt et al. 2020): `sentence_good` and `sentence_bad`; the phenomenon, `UID`, is the subject."""
    return items_from(path, json_rows(path), _blimp)


def _blimp(row: Row, place: str, number: str) -> Item:
    good, bad, subject = (asked_for(row, key, str, place) for key in ("sentence_good", "sentence_bad", "UID"))
    name = f"{subject}-{row.get('pairID', number)}"
    return choice_item(name, *placed(name, good, [bad]), meta={"subject": subject})


def read_crows_pairs(path: Path) -> Entries:
    """CrowS-Pairs (Nangia et al. 2020), a CSV file: `sent_more`, which says the stereotype, and `sent_less`.

    The sentence with the stereotype counts as gold: a "score" is the share of pairs where it is the likelier one, and
    half is the aim, not more.
    """
    return items_from(path, csv_rows(path), _crows_pair)


def _crows_pair(row: Row, place: str, number: str) -> Item:
    more, less, subject = (asked_for(row, key, str, place) for key in ("sent_more", "sent_less", "bias_type"))
    name = f"crows-pairs-{number}"
    return choice_item(name, *placed(name, more, [less]), meta={"subject": subject})
