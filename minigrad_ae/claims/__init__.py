"""Every claim of the chapter beside its exact answer: one file of claims per lesson, read by
`ledger`.
"""

from .definition import CLAIMS, Claim, Result, Run, claim
from .ledger import claims, sabotage, table, topics, verify

__all__ = [
    "CLAIMS",
    "Claim",
    "Result",
    "Run",
    "claim",
    "claims",
    "sabotage",
    "table",
    "topics",
    "verify",
]
