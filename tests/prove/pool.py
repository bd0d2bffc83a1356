"""Two workers, each a fresh interpreter: a fork of a program with threads and open stores would not be one."""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor


def pool() -> ProcessPoolExecutor:
    """As many workers as there are cores, `TRAM_PROVE_WORKERS` when it says so."""
    count = int(os.environ.get("TRAM_PROVE_WORKERS", "0")) or max(1, os.cpu_count() or 1)
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
