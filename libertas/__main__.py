"""`python -m libertas`, as `torchrun -m libertas train` starts it."""

from libertas.cli import main

if __name__ == "__main__":
    main()
