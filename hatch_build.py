"""Compiles the native kernel of libertas; where that is not possible libertas is installed without it, and is slower.

The kernel is plain C for Python's limited API, so one library serves every CPython from 3.11 on. It is compiled in its
folder, where an editable install finds it.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from hashlib import sha256
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

KERNEL = Path("libertas", "kernel")
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-Wall", "-Wextra")
"""No fused multiply-add: what is computed has to be bit for bit what numpy computes."""
LINKING = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)


class KernelBuildHook(BuildHookInterface):
    """Runs before a wheel, or an editable one, is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the kernel and add it to the wheel."""
        library = Path(self.root, KERNEL, "_native.abi3.so")
        library.unlink(missing_ok=True)
        try:
            compile_kernel(library)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            self.app.display_warning(
                f"libertas is installed without its native kernel, and slower: {said.strip()[:300]}"
            )
            return
        platform = next(t.platform for t in sys_tags() if not t.platform.startswith(("manylinux", "musllinux")))
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform}"
        build_data["artifacts"].append(f"/{(KERNEL / library.name).as_posix()}")


def compile_kernel(library: Path) -> None:
    """Compile the C code beside a library to be.

    Raises:
        ValueError: this Python names no compiler (on Windows) or cannot load such libraries.
        OSError, subprocess.SubprocessError: there is no compiler, or it failed.
    """
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "")
    if not compiler or ".abi3.so" not in EXTENSION_SUFFIXES:
        raise ValueError("this Python names no compiler for it")
    code = sorted(library.parent.glob("*.[ch]"))
    digest = sha256(b"".join(path.read_bytes() for path in code)).hexdigest()  # as kernel/__init__.py checks it
    partial = library.with_suffix(".partial")
    subprocess.run(
        [*compiler, *FLAGS, f'-DKERNEL_SOURCE="{digest}"', f"-I{sysconfig.get_path('include')}", *LINKING]
        + [path.name for path in code if path.suffix == ".c"]
        + ["-o", partial.name],
        check=True, capture_output=True, text=True, cwd=library.parent,
    )  # fmt: skip
    partial.replace(library)
