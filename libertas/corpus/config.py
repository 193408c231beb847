"""What the corpus room can be asked to do; importing this costs nothing."""

from dataclasses import dataclass
from pathlib import Path

from libertas.errors import UsageError
from libertas.lineage.fingerprint import execution


@dataclass(frozen=True, kw_only=True)
class AdoptConfig:
    """Make a corpus of files that lm_dataformat wrote, or that others wrote as JSON Lines or text.

    Whatever cannot be read becomes a drop with its reason; what a file that was cut off or damaged still holds is kept.
    """

    paths: tuple[Path, ...]
    """Files (`.jsonl`, `.jsonl.zst`, `.dat.zst`, `.json.zst`, `.jsonl.zst.tar`, `.tar.gz`, `.zip`, `.txt`, `.gz`, ...)
    and folders of them."""
    out: Path
    """Folder of the corpus."""
    component: str = "adopted"
    """Name of this part of a mixture, for documents that do not bring one as `component` or `pile_set_name`."""
    text_key: str = "text"
    """Field of a JSON object that is the text; all others become `meta`."""
    workers: int = execution(2)
    """Processes that read files, each a file at a time; the corpus does not depend on it."""
    engine: str = execution("local")
    """`local`, or `ray`, which reads each file as a task of the Ray cluster that the environment names
    (`RAY_ADDRESS=auto`), or of this machine; `out` must then lie on storage that all its machines share."""

    def __post_init__(self) -> None:
        """Refuse values that adopt nothing."""
        if not self.paths:
            raise UsageError("paths is empty; expected files of lm_dataformat, or folders of them; name at least one")
        if not self.component or not self.component.replace("-", "").replace("_", "").isalnum():
            raise UsageError(
                f"component is {self.component!r}; expected a name of letters, digits, '-' and '_', such as 'books'"
            )
        if not self.text_key:
            raise UsageError("text_key is empty; expected the name of a field, such as 'text'")
        if self.workers < 1:
            raise UsageError(f"workers is {self.workers}; expected 1 or more; 2 is usual")
        if self.engine not in ("local", "ray"):
            raise UsageError(f"engine is {self.engine!r}; expected local or ray; name one")
