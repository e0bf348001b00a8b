"""Memory that stays with the process from one step of training to the next.

A graph keeps its arrays until the loss is dropped, and then all go at once.  The C library hands
free memory at the end of its heap back to the system, which has to bring every page of 4 KiB in
anew, filled with zeros, in the next step: with 49 tokens some 10,000 page faults, a quarter of the
step or more.
"""

from __future__ import annotations

import numpy as np

LARGEST = 31 * 1024**2  # bytes; glibc does not learn from blocks above 32 MiB


def keep_freed_memory() -> None:
    """Have up to 62 MiB of free memory stay with the process, where the C library is glibc.

    When a large block is freed glibc takes blocks of that size for temporary ones: from then on it
    allocates them on the heap, of which it leaves twice that size as it is when it becomes free
    (mallopt(3), "dynamic mmap threshold").  This frees such a block, which nobody has written to:
    no memory is brought in for it.  Other C libraries take no notice.
    """
    np.empty(LARGEST, np.uint8)
