"""Exact conversions, each with its source."""

from __future__ import annotations

J_PER_KWH = 3_600_000.0
"""Joules in a kilowatt-hour; exact (SI)."""

G_PER_SHORT_TON = 907_184.74
"""Grams in a US short ton of 2,000 lb; exact (international pound, 1959)."""

G_PER_LB = 453.59237
"""Grams in an international pound; exact (1959)."""
