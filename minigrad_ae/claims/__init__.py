"""Every claim of the chapter beside what it is held to: one file of claims per lesson, read by
`ledger`.
"""

from .definition import CLAIMS, KINDS, Claim, Result, Run, claim
from .ledger import claims, counts, sabotage, table, topics, verify

__all__ = [
    "CLAIMS",
    "KINDS",
    "Claim",
    "Result",
    "Run",
    "claim",
    "claims",
    "counts",
    "sabotage",
    "table",
    "topics",
    "verify",
]
