"""``minigrad-ae verify``: read the ledger, plant its bugs, or certify your own matrix."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..claims import Run, ledger
from ..command_line import seed
from ..errors import DataError
from ..files import write_json
from ..room import spelt
from . import input
from .output import writable

WORTH_SAYING = 10**9  # bytes
HELP = "read the whole ledger, or certify your own matrix"
OPTIONS = {
    "either": {
        "--fast": {"action": "store_true", "help": "the same claims from smaller runs"},
        "--full": {
            "action": "store_true",
            "help": "with --sabotage: every bug against every claim (minutes)",
        },
    },
    "--seed": {"type": seed, "default": 0},
    "--json": {"type": Path, "metavar": "FILE", "help": "also write the rows as JSON"},
    "--sabotage": {"action": "store_true", "help": "plant each claim's bug and see it caught"},
    "--data": {
        "metavar": "DATA",
        "help": "train a linear autoencoder on digits, mnist, fashion-mnist, kmnist or a file of "
        "numbers, and certify it as PCA",
    },
    **input.OPTIONS,
    "--latent": {
        "type": int,
        "metavar": "M",
        "help": "with --data: the number of latent units",
    },
    "--out": {
        "type": Path,
        "metavar": "DIR",
        "help": "with --data: keep model, codes, components, certificate and a picture here",
    },
}


def verify(args: argparse.Namespace, rest: list[str]) -> int:
    """Read the ledger; with --sabotage each claim under its own bug; with --data certify a
    matrix.
    """
    if args.data is not None:
        if args.sabotage or args.full:
            wrong = "--sabotage" if args.sabotage else "--full"
            raise DataError(
                f"{wrong} with --data",
                "--data certifies one matrix; the ledger is not read",
                f"leave out {wrong}",
            )
        return certify(args)
    if args.latent is not None:
        raise DataError(
            "--latent without --data", f"--latent {args.latent}", "name the matrix: --data X.npy"
        )
    if args.out is not None:
        raise DataError(
            "--out without --data", f"--out {args.out}", "name the matrix: --data X.npy"
        )
    input.demand_none(args, "without --data", "key", "drop_columns", "labels")
    writable(args.json)
    run = Run(fast=args.fast, full=args.full, seed=args.seed)
    if args.sabotage:
        rows = ledger.matrix(run) if args.full else ledger.sabotage(run)
        if args.json:
            write_json(args.json, rows)
        return int(not all(r["caught"] for r in rows))
    results = ledger.verify(run)
    if args.json:
        ledger.write_results(args.json, results)
    return int(not all(r.passed for r in results))


def certify(args: argparse.Namespace) -> int:
    """Train a linear autoencoder on the centred matrix and print its PCA certificate."""
    from ..claims.certificate import claims_of
    from ..claims.certify import certify_pca, demand_latent
    from ..data import centre
    from ..models import LinearAutoencoder
    from ..models.subspace import room_for
    from . import kept

    if args.latent is None:
        raise DataError(
            "--data needs --latent", f"--data {args.data}", "say how many latent units: --latent 2"
        )
    table = input.matrix(args)
    X = table.X.astype(np.float64)
    demand_latent(args.latent, X.shape)
    writable(args.json)
    if args.out is not None:
        kept.demand_folder(args.out)
    input.say(args, table)
    centred, mean = centre(X)
    print(
        f"{args.data}: {X.shape[0]} x {X.shape[1]}; columns centred (largest mean taken off "
        f"{np.abs(mean).max():.4g})"
    )
    print(
        "training a linear autoencoder on it from random weights, by least squares and L-BFGS; "
        "PCA is computed apart, by SVD",
        flush=True,
    )
    room = 2 * room_for(*X.shape)  # training, and the certificate beside it
    if room > WORTH_SAYING:
        print(f"this takes about {spelt(room)} of memory", flush=True)
    rng = np.random.default_rng(args.seed)
    model = LinearAutoencoder(X.shape[1], args.latent, bias=False, rng=rng)
    model.fit(centred)
    certificate = certify_pca(model, centred)
    print(certificate)
    if args.json:
        ledger.write_results(args.json, claims_of(certificate))
    if args.out is not None:
        model = kept.centred_by_itself(model, mean)
        model.measure_codes(X)
        files = kept.keep(args.out, model, X, certificate, str(args.data), table)
        print(f"kept in {args.out}: {', '.join(files)}")
    return int(not certificate.passed)
