"""Run the benchmarks: `python -m benchmarks`, or some of them by name."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks


def main(chosen: list[str]) -> None:
    """Print the rows of every benchmark, or of those that are named."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    known = [name for name in names if not name.startswith("_")]
    for name in chosen or known:
        if name not in known:
            sys.exit(f"There is no benchmark {name!r}. The benchmarks: {', '.join(known)}.")
        print(f"\n{name}")
        for row in importlib.import_module(f"benchmarks.{name}").rows():
            print(f"  {row}")


if __name__ == "__main__":
    main(sys.argv[1:])
