"""Print the log-normal token lengths that the synthetic stream uses: geometric mean and log-spread per column.

Usage: python tools/token_lengths.py PATH/AzureLLMInferenceTrace_conv.csv
"""

import sys

import numpy as np
import polars as pl

table = pl.read_csv(sys.argv[1])
for column in ("ContextTokens", "GeneratedTokens"):
    logs = np.log(table[column].to_numpy())
    print(f"{column}: geometric mean {np.exp(logs.mean()):.0f}, log-spread {logs.std():.2f}, n {len(logs)}")
