"""Checking a run that someone else trained, interval by interval, against its chain."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from libertas.errors import BrokenLineage, UsageError
from libertas.model.sizes import named_size
from libertas.terminal import progress
from libertas.tokenize.store import TokenStore
from libertas.train.chain import batches_digest, first_broken, is_link, read_chain
from libertas.train.checkpoint import saved_under, step_of
from libertas.train.loop import order_of
from libertas.train.replay import Recorded, compared_with, hash_of, recorded, trained_again
from libertas.train.replay_config import AuditConfig
from libertas.train.snapshot import weights_hash
from libertas.train.tiers import CHECKPOINTS, RESUME, STATES


@dataclass(frozen=True)
class Audited:
    """A run in which nothing was found."""

    links: int
    last: int
    """Step of the last link."""
    kept: int
    """Checkpoints and states whose bytes, and at links whose weights, are the recorded ones."""
    started: int
    until: int
    """Training was repeated between these steps."""
    compared: tuple[str, ...]


def audit(config: AuditConfig) -> Audited:
    """Check a run; silent where everything is as recorded.

    Raises:
        UsageError: there is no such run or step, or other code trained it.
        BrokenLineage: names the first link that is broken, and how.
    """
    source = recorded(config.run, config.other_code)
    links = read_chain(source.folder)
    _require_links(source, links)
    _require_batches(source, links)
    kept = _require_kept(source, {link["step"]: link["weights"] for link in links})
    last = links[-1]["step"]
    if config.since >= last or config.until > last:
        raise UsageError(
            f"since is {config.since} and until {config.until}; expected steps up to {last:,}, the run's last link"
        )
    until = next(link["step"] for link in links if link["step"] >= (config.until or config.since + 1))
    with trained_again(source, config.run, until, config.since) as (model, scratch, started):
        compared = compared_with(source, scratch, started, until, weights_hash(dict(model.state_dict())))
    return Audited(len(links), last, kept, started, until, tuple(compared))


def _broken(source: Recorded, step: int, how: str) -> BrokenLineage:
    return BrokenLineage(f"{source.folder}: the link of step {step} is broken: {how}")


def _require_links(source: Recorded, links: list[dict[str, Any]]) -> None:
    """See that no link is missing and each follows from the one before."""
    if not links:
        raise _broken(source, 0, "there is no chain")
    wanted = [s for s in range(links[-1].get("step", 0) + 1) if is_link(s, source.config)]
    missing = set(wanted) - {link.get("step") for link in links}
    wrong = first_broken(links)
    if missing and (wrong is None or min(missing) <= wrong):
        raise _broken(source, min(missing), "it is missing")
    if wrong is not None:
        raise _broken(source, wrong, "it does not follow from the one before")


def _require_batches(source: Recorded, links: list[dict[str, Any]]) -> None:
    """See that the tokens are still those that were read, between all links."""
    config = source.config
    store = TokenStore.open(config.tokens)
    order = order_of(config, store, replace(named_size(config.model), vocabulary=store.vocabulary))
    before = 0
    with progress("reading batches", links[-1]["step"]) as bar:
        for link in links:
            if batches_digest(store, order, before + 1, link["step"]) != link["batches"]:
                raise _broken(source, link["step"], f"{config.tokens} holds other tokens than were read")
            bar.advance(link["step"] - before)
            before = link["step"]


def _require_kept(source: Recorded, weights: dict[int, str]) -> int:
    """See that what was kept is sound and, where there is a link, has its weights."""
    kept = [p for tier in (CHECKPOINTS, STATES, RESUME) for p in saved_under(source.folder / tier)]
    for path in sorted(kept, key=step_of):
        found = hash_of(path)
        if weights.get(step_of(path), found) != found:
            raise _broken(source, step_of(path), f"{path.parent.name}/{path.name} holds other weights")
    return len(kept)


def audit_lines(result: Audited) -> Iterator[str]:
    """What the terminal shows of an audit."""
    yield f"{result.links:,} links up to step {result.last:,} follow from each other, with the recorded batches"
    yield f"{result.kept:,} checkpoints and states: every byte is the recorded one, weights agree with the links"
    same = ", ".join(result.compared)
    yield f"steps {result.started:,} to {result.until:,} were trained again: {same} have the same bits"
    yield "other intervals were not trained again: --since and --until name one"
