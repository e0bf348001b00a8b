"""``python -m minigrad_ae``."""

from .cli import main

raise SystemExit(main())
